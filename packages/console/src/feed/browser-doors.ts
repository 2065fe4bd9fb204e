// The feed's doors in a real browser.
import type { FeedDoors } from './plant-feed.ts'
import { EventLines } from './event-lines.ts'
import { getText, send } from './requests.ts'

async function follow(onData: (text: string) => void, signal: AbortSignal): Promise<never> {
  const response = await send('api/events', { signal, headers: { accept: 'text/event-stream' } })
  const lines = new EventLines(onData)
  const decoder = new TextDecoder()
  const reader = response.body?.getReader()
  for (;;) {
    const chunk = await reader?.read()
    if (chunk?.value === undefined) throw new Error('the stream of events ended')
    lines.take(decoder.decode(chunk.value, { stream: true }))
  }
}

export const browserDoors: FeedDoors = {
  openEvents(onData, onError) {
    const abort = new AbortController()
    follow(onData, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) onError(error)
    })
    return () => abort.abort()
  },
  fetchStatus: () => getText('api/status'),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  nowMs: () => Date.now(),
}
