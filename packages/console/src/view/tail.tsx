import { useState } from 'react'
import type { TailRecord, TopicStatus } from 'millrace/api'
import { formatPlural, formatTime } from '../model/format.ts'
import { matchesFilter, recordText, TAIL_RECORDS_MAX } from '../model/tail-buffer.ts'
import { Fault } from './fault.tsx'
import { Panel } from './panel.tsx'
import { useTail } from './use-tail.ts'

/** The newest records of any topic as they come. Reading leaves no trace: no group, no position is kept. */
export function Tail({
  topics,
  preferred,
}: {
  readonly topics: readonly TopicStatus[]
  readonly preferred: string | null
}): React.ReactNode {
  const [chosen, choose] = useState<string | null>(null)
  const [internal, setInternal] = useState(false)
  const listed = topics.filter((topic) => internal || !topic.internal)
  const topic = listed.find((each) => each.name === (chosen ?? preferred)) ?? listed[0]
  if (topic === undefined) {
    return (
      <Panel id="tail" title="Tail">
        <p className="empty">There is no topic yet.</p>
      </Panel>
    )
  }
  const tools = (
    <>
      <label className="check">
        <input type="checkbox" checked={internal} onChange={(event) => setInternal(event.target.checked)} /> internal
      </label>
      <label className="field">
        <span className="sr-only">Topic</span>
        <select value={topic.name} onChange={(event) => choose(event.target.value)}>
          {listed.map((each) => (
            <option key={each.name}>{each.name}</option>
          ))}
        </select>
      </label>
    </>
  )
  return <OneTail key={topic.name} topic={topic} tools={tools} />
}

function OneTail({ topic, tools }: { readonly topic: TopicStatus; readonly tools: React.ReactNode }): React.ReactNode {
  const [paused, setPaused] = useState(false)
  const [filter, setFilter] = useState('')
  const [open, setOpen] = useState<string | null>(null)
  const { state, error } = useTail(topic, paused)
  const records = state.records.filter((record) => matchesFilter(record, filter))
  const partitions = topic.partitions === 1 ? '' : ` in ${topic.partitions} partitions`
  const note = `${formatPlural(topic.records, 'record')}${partitions}${state.skipped > 0 ? `; too fast to show each` : ''}`
  return (
    <Panel id="tail" title="Tail" note={note} tools={tools}>
      <form className="filters" onSubmit={(event) => event.preventDefault()}>
        <label className="field grow">
          <span className="sr-only">Filter by text</span>
          <input type="search" value={filter} placeholder="filter by text" onChange={(event) => setFilter(event.target.value)} />
        </label>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? 'Go on' : 'Pause'}
        </button>
      </form>
      {error !== null && <Fault error={error} />}
      <div className="scroller" role="region" aria-label={`Newest records of ${topic.name}`} tabIndex={0}>
        <ol className="tail" data-testid="tail">
          {records.map((record) => {
            const id = `${record.partition}/${record.offset}`
            return <TailLine key={id} id={id} record={record} open={open === id} toggle={() => setOpen(open === id ? null : id)} />
          })}
        </ol>
      </div>
      {records.length === 0 && (
        <p className="empty">
          {state.records.length > 0 ? (
            `None of the ${TAIL_RECORDS_MAX} newest records has this text.`
          ) : topic.records > 0 || topic.internal ? (
            'Waiting for the next record…'
          ) : (
            <>
              No record yet. Send one, from the folder of the project:{' '}
              <code>
                npx millrace produce {topic.name} --value '{'{…}'}'
              </code>
              , or POST it to <code>{new URL(`topics/${encodeURIComponent(topic.name)}`, location.href).href}</code>.
            </>
          )}
        </p>
      )}
    </Panel>
  )
}

interface TailLineProps {
  readonly id: string
  readonly record: TailRecord
  readonly open: boolean
  readonly toggle: () => void
}

function TailLine({ id, record, open, toggle }: TailLineProps): React.ReactNode {
  return (
    <li>
      <button type="button" className="tail-line" aria-expanded={open} onClick={toggle}>
        <span className="tail-offset" title="partition/offset; press for the whole record">
          {id}
        </span>
        <span className="tail-time">{formatTime(record.timeMs)}</span>
        {record.key !== null && <span className="tail-key">{record.key}</span>}
        <span className="tail-value">{recordText(record)}</span>
      </button>
      {open && <pre className="json">{record.bytes === null ? JSON.stringify(record.value, null, 2) : `base64 ${record.bytes}`}</pre>}
    </li>
  )
}
