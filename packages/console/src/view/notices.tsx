import type { Notice } from 'millrace/api'
import { formatTime, formatWhole } from '../model/format.ts'
import { Panel } from './panel.tsx'

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
                  {notice.message} {notice.count > 1 && <span className="muted">({formatWhole(notice.count)} times)</span>}
                </p>
                {notice.fix !== null && <p className="fix">{notice.fix}</p>}
                <p className="muted">
                  {formatTime(Math.floor(notice.atMs / 1000) * 1000)} UTC · {notice.task}
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
