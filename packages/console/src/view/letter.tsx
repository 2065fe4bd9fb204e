import { useState } from 'react'
import type { DeadLetterView } from 'millrace/api'
import { bytesOfBase64, bytesOfText, hexDump, prettyJson } from '../model/bytes.ts'
import { formatSecond, formatTime, formatWhole } from '../model/format.ts'
import { Choice } from './choice.tsx'
import { Place } from './place.tsx'
import { Prose } from './prose.tsx'

const HEX_LINES_MAX = 64

interface LetterProps {
  readonly letter: DeadLetterView
  /** What the group says already. */
  readonly common: string
  readonly retry: (id: number) => Promise<void>
}

/** One dead letter: what was wrong, where it came from, and its original bytes. */
export function Letter({ letter, common, retry }: LetterProps): React.ReactNode {
  const [as, setAs] = useState<'text' | 'hex'>(letter.text === null ? 'hex' : 'text')
  const [busy, setBusy] = useState(false)
  const bytes = letter.text === null ? bytesOfBase64(letter.base64 ?? '') : bytesOfText(letter.text)
  const send = async (): Promise<void> => {
    setBusy(true)
    await retry(letter.id)
    setBusy(false)
  }
  return (
    <li className="letter" data-state={letter.state}>
      <div className="letter-line">
        <span>
          {letter.offset < 0
            ? 'made inside the pipeline'
            : `${letter.topic} · partition ${letter.partition} · offset ${formatWhole(letter.offset)}`}
          <span className="muted">
            {' '}
            · event time {formatTime(letter.timeMs)} · refused {formatSecond(letter.atMs)} UTC · attempt {letter.attempt}
          </span>
        </span>
        {letter.text !== null && (
          <Choice
            label="Show bytes as"
            value={as}
            options={[
              ['text', 'Text'],
              ['hex', 'Hex'],
            ]}
            choose={setAs}
          />
        )}
        {letter.state !== 'open' ? (
          <span className="pill small" data-tone="calm">
            {letter.state === 'retried' ? 'sent back in' : 'discarded'}
          </span>
        ) : (
          <button type="button" disabled={busy} onClick={() => void send()}>
            Re-inject
          </button>
        )}
      </div>
      {letter.message !== common && (
        <p className="letter-message">
          <Prose text={letter.message} /> {letter.place !== null && <Place place={letter.place} />}
        </p>
      )}
      <pre className="json">{as === 'text' ? prettyJson(letter.text ?? '') : hexDump(bytes, HEX_LINES_MAX)}</pre>
    </li>
  )
}
