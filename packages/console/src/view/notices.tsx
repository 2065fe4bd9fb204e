import type { Notice } from 'millrace/api'
import { formatSecond, formatWhole } from '../model/format.ts'
import { Panel } from './panel.tsx'
import { Prose } from './prose.tsx'

const TONES = { info: 'calm', warning: 'warning', error: 'bad' } as const

/** What the plant wants a user to know: pauses, restarts, failures, newest first, each with what to do. */
export function Notices({ notices }: { readonly notices: readonly Notice[] }): React.ReactNode {
  return (
    <Panel id="notices" title="Notices" note="newest first">
      <ul className="notices">
        {notices
          .toSorted((a, b) => b.atMs - a.atMs)
          .map((notice) => (
            <li key={`${notice.atMs} ${notice.task} ${notice.code ?? notice.message}`}>
              <span className="pill small" data-tone={TONES[notice.level]}>
                {notice.level}
              </span>
              <div>
                <p>
                  <Prose text={notice.message} /> {notice.count > 1 && <span className="muted">({formatWhole(notice.count)} times)</span>}
                </p>
                {notice.fix !== null && (
                  <p className="fix">
                    <Prose text={notice.fix} />
                  </p>
                )}
                <p className="muted">
                  {formatSecond(notice.atMs)} UTC · {notice.task}
                  {notice.code !== null && ` · ${notice.code}`}
                </p>
              </div>
            </li>
          ))}
      </ul>
      {notices.length === 0 && <p className="empty">Nothing to report.</p>}
    </Panel>
  )
}
