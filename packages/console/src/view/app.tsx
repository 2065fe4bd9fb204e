import { useState, useSyncExternalStore } from 'react'
import type { Connection } from '../feed/plant-feed.ts'
import { getDeadLetterGroups } from '../feed/requests.ts'
import type { PlantViews } from '../model/plant-view.ts'
import { ConnectionBanner } from './connection-banner.tsx'
import { DeadLetters } from './dead-letters.tsx'
import { Figures } from './figures.tsx'
import { Header } from './header.tsx'
import { usePolled } from './hooks.ts'
import { LiveTable } from './live-table.tsx'
import { Notices } from './notices.tsx'
import { OpenWindows } from './open-windows.tsx'
import { Sinks } from './sinks.tsx'
import { Sources } from './sources.tsx'
import { Tail } from './tail.tsx'
import { Tasks } from './tasks.tsx'
import { TokenForm } from './token-form.tsx'
import { Throughput } from './throughput.tsx'
import { TopologyPanel } from './topology-panel.tsx'

/** Milliseconds between two looks at the dead letters; the status does not say how many are still open. */
const LETTERS_EVERY_MS = 2000

/** The page: one pipeline at a time, everything about it below one header. */
export function App({ views, reopen }: { readonly views: PlantViews; readonly reopen: () => void }): React.ReactNode {
  const { connection, status, flows } = useSyncExternalStore(views.subscribe, views.view)
  const [chosen, choose] = useState<string | null>(null)
  const pipeline = status?.pipelines.find((each) => each.pipeline === chosen) ?? status?.pipelines[0]
  const flow = pipeline === undefined ? undefined : flows.get(pipeline.pipeline)
  const name = pipeline?.pipeline ?? ''
  const letters = usePolled(name, LETTERS_EVERY_MS, (signal) => (name === '' ? Promise.resolve([]) : getDeadLetterGroups(name, signal)))
  const letterCount = (letters.value ?? []).reduce((sum, group) => sum + group.count, 0)
  return (
    <>
      <Header connection={connection} status={status} pipeline={pipeline} letterCount={letterCount} choose={choose} />
      <main>
        <ConnectionBanner connection={connection} seen={status !== null} />
        {status !== null && pipeline !== undefined && flow !== undefined ? (
          <div className="sections" data-stale={connection.state === 'lost'}>
            <Figures status={status} pipeline={pipeline} letterCount={letterCount} />
            <TopologyPanel key={pipeline.pipeline} pipeline={pipeline} flow={flow} nowMs={status.nowMs} />
            <Throughput history={views.history} status={status} pipeline={pipeline.pipeline} flow={flow} />
            <div className="beside">
              <OpenWindows pipeline={pipeline} />
              <Sinks pipeline={pipeline} nowMs={status.nowMs} />
            </div>
            <Sources sources={status.sources} />
            <LiveTable key={`table ${pipeline.pipeline}`} tables={pipeline.tables} />
            <Tail topics={status.topics} preferred={pipeline.nodes.find((node) => node.kind === 'source')?.target ?? null} />
            <DeadLetters key={`letters ${pipeline.pipeline}`} pipeline={pipeline.pipeline} groups={letters} nowMs={status.nowMs} />
            <Notices notices={status.notices} />
            <Tasks pipeline={pipeline} nowMs={status.nowMs} />
          </div>
        ) : (
          <Waiting connection={connection.state} started={status !== null} reopen={reopen} />
        )}
      </main>
    </>
  )
}

interface WaitingProps {
  readonly connection: Connection['state']
  readonly started: boolean
  readonly reopen: () => void
}

function Waiting({ connection, started, reopen }: WaitingProps): React.ReactNode {
  if (connection === 'locked') return <TokenForm retry={reopen} />
  return (
    <p className="empty page-empty">
      {started ? 'No pipeline runs here. Start one with `npx millrace dev FILE`.' : 'Asking the plant for its status…'}
    </p>
  )
}
