// Answers that go on: server-sent events and NDJSON streams. A client that does not read is waited for, and never buffered for without limit.
import type { ServerResponse } from 'node:http'
import { MillraceError } from '@millrace/core/engine'

const STREAMS_MAX = 256

export class Streams {
  readonly #open = new Set<ServerResponse>()
  #stopped = false

  /** Begins a stream. Throws MR_HTTP_BUSY when there are too many, or the server stops. */
  open(response: ServerResponse, type: string): void {
    if (this.#stopped || this.#open.size >= STREAMS_MAX)
      throw new MillraceError('MR_HTTP_BUSY', {
        message: 'too many streams are open.',
        details: { streams: this.#open.size, streamsMax: STREAMS_MAX },
      })
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    // Nothing follows the head that HEAD asks for.
    if (response.req.method === 'HEAD') return void response.end()
    response.flushHeaders()
    this.#open.add(response)
    response.once('close', () => this.#open.delete(response))
  }

  isOpen(response: ServerResponse): boolean {
    return this.#open.has(response)
  }

  /** Ends all streams and takes no new ones. */
  stop(): void {
    this.#stopped = true
    for (const response of this.#open) response.end()
    this.#open.clear()
  }
}

/** Resolves when the client can take more, or is gone. */
export function drained(response: ServerResponse): Promise<void> {
  if (!response.writableNeedDrain || response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = (): void => {
      response.off('drain', finish)
      response.off('close', finish)
      resolve()
    }
    response.on('drain', finish)
    response.on('close', finish)
  })
}
