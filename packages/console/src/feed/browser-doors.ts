// The feed's doors in a real browser.
import type { FeedDoors } from './plant-feed.ts'
import { getText } from './requests.ts'

export const browserDoors: FeedDoors = {
  openEvents(onData, onError) {
    const events = new EventSource('api/events')
    events.addEventListener('message', (event: MessageEvent<string>) => onData(event.data))
    events.addEventListener('error', onError)
    return () => events.close()
  },
  fetchStatus: () => getText('api/status'),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  nowMs: () => Date.now(),
}
