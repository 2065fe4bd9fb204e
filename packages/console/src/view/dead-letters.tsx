import { useState } from 'react'
import type { DeadLetterGroup, RetryRequest } from 'millrace/api'
import { discardDeadLetters, retryDeadLetters } from '../feed/requests.ts'
import { formatPlural, formatTimeShort, formatWhole } from '../model/format.ts'
import { discardOutcome, retryOutcome } from '../model/reasons.ts'
import { Fault } from './fault.tsx'
import type { Polled } from './hooks.ts'
import { LetterList } from './letter-list.tsx'
import { Panel } from './panel.tsx'
import { Place } from './place.tsx'
import { Prose } from './prose.tsx'

type Outcome = { readonly said: string } | { readonly error: Error }

interface DeadLettersProps {
  readonly pipeline: string
  readonly groups: Polled<readonly DeadLetterGroup[]>
  readonly nowMs: number
}

/** Records that could not be taken, grouped by what was wrong with them, with the way back in. */
export function DeadLetters({ pipeline, groups, nowMs }: DeadLettersProps): React.ReactNode {
  const [outcome, setOutcome] = useState<Outcome | null>(null)
  const [open, setOpen] = useState<string | null>(null)
  const report = async (saying: Promise<string>): Promise<void> => {
    try {
      setOutcome({ said: await saying })
    } catch (error) {
      setOutcome({ error: error as Error })
    }
    groups.refresh()
  }
  const retry = (request: RetryRequest): Promise<void> => report(retryDeadLetters(pipeline, request).then(retryOutcome))
  const discard = (request: RetryRequest): Promise<void> => report(discardDeadLetters(pipeline, request).then(discardOutcome))
  const all = groups.value ?? []
  const total = all.reduce((sum, group) => sum + group.count, 0)
  return (
    <Panel
      id="letters"
      title="Dead letters"
      note={
        groups.value === null
          ? 'reading…'
          : total === 0
            ? 'none open'
            : `${formatPlural(total, 'letter')}, ${formatPlural(all.length, 'cause')}`
      }
    >
      {groups.error !== null && <Fault error={groups.error} />}
      <div role="status" aria-live="polite" data-testid="retry-result">
        {outcome !== null &&
          ('error' in outcome ? (
            <Fault error={outcome.error} />
          ) : (
            <p className="done">
              <Prose text={outcome.said} />
            </p>
          ))}
      </div>
      <ul className="letters">
        {all
          .toSorted((a, b) => b.count - a.count)
          .map((group) => {
            const key = `${group.code} ${group.operator}`
            return (
              <LetterGroup
                key={key}
                group={group}
                nowMs={nowMs}
                open={open === key}
                toggle={() => setOpen(open === key ? null : key)}
                retry={retry}
                discard={discard}
              />
            )
          })}
      </ul>
      {groups.value !== null && all.length === 0 && (
        <p className="empty">Nothing was refused. Records that an operator or a sink cannot take wait here, with their bytes.</p>
      )}
    </Panel>
  )
}

interface LetterGroupProps {
  readonly group: DeadLetterGroup
  readonly nowMs: number
  readonly open: boolean
  readonly toggle: () => void
  readonly retry: (request: RetryRequest) => Promise<void>
  readonly discard: (request: RetryRequest) => Promise<void>
}

function LetterGroup({ group, nowMs, open, toggle, retry, discard }: LetterGroupProps): React.ReactNode {
  const [busy, setBusy] = useState(false)
  /** A letter that is discarded does not come back, so the button asks once more. */
  const [isAsked, setAsked] = useState(false)
  const { code, operator, sample } = group
  const all = group.count === 1 ? 'it' : `all ${formatWhole(group.count)}`
  const send = async (act: (request: RetryRequest) => Promise<void>): Promise<void> => {
    setBusy(true)
    await act({ code, operator })
    setBusy(false)
    setAsked(false)
  }
  return (
    <li className="letter-group" data-testid="letter-group">
      <div className="letter-head">
        <button type="button" className="quiet letter-open" aria-expanded={open} onClick={toggle}>
          <span className="letter-count">{formatWhole(group.count)}</span>
          <span className="letter-cause">
            <span className="letter-code">{code}</span>
            <span className="muted">
              in {operator} · last {formatTimeShort(group.lastAtMs, nowMs)} UTC
            </span>
          </span>
        </button>
        <button type="button" disabled={busy} onClick={() => void send(retry)}>
          {busy ? 'Sending…' : `Re-inject ${all}`}
        </button>
        <button
          type="button"
          className="quiet"
          disabled={busy}
          onBlur={() => setAsked(false)}
          onClick={() => (isAsked ? void send(discard) : setAsked(true))}
        >
          {isAsked ? `Really discard ${all}?` : 'Discard'}
        </button>
      </div>
      <p className="letter-message">
        <Prose text={sample.message} />
      </p>
      <p className="fix">
        <Prose text={sample.fix} />
        {sample.place !== null && (
          <>
            {' '}
            <Place place={sample.place} />
          </>
        )}
      </p>
      {open && <LetterList group={group} retry={retry} />}
    </li>
  )
}
