import type { Connection } from '../feed/plant-feed.ts'
import { RETRY_MS } from '../feed/plant-feed.ts'
import { formatClock, formatDuration } from '../model/format.ts'

/** Says that the figures are old, since when, and that the page goes on trying. */
export function ConnectionBanner({ connection, seen }: { readonly connection: Connection; readonly seen: boolean }): React.ReactNode {
  return (
    <div role="status" aria-live="polite">
      {connection.state === 'lost' && (
        <p className="banner" data-tone="warning">
          <strong>No connection to the plant since {formatClock(connection.sinceMs)} UTC.</strong>{' '}
          {seen ? 'The figures below are from then. ' : ''}
          Trying again every {formatDuration(RETRY_MS)}
          {connection.attempts > 0 ? ` (${connection.attempts} so far)` : ''}; if it was stopped, start it again and this page goes on by
          itself.
        </p>
      )}
    </div>
  )
}
