// Requests that found both halves of the journal full, in the order in which they came. The intake takes them in, oldest first, when a
// checkpoint has made a half free. Their bytes have a limit, so that an overload slows its producers down and does not grow.
import { MillraceError } from '../../base/errors.ts'
import type { Accepted, Request } from './request.ts'

/** Bytes of requests that may wait before further ones are refused. */
const WAITING_BYTES_MAX = 64 << 20
/** So many places at the front are left empty before the rest moves up. */
const EMPTY_MAX = 1024

export interface WaitingRequest {
  readonly request: Request
  readonly resolve: (value: Accepted) => void
  readonly reject: (error: unknown) => void
}

export class WaitingRequests {
  #requests: WaitingRequest[] = []
  #head = 0
  #bytes = 0

  get isEmpty(): boolean {
    return this.#head === this.#requests.length
  }

  get first(): WaitingRequest | null {
    return this.#requests[this.#head] ?? null
  }

  /** Takes a request, or rejects it with MR_LOG_FULL when too much waits. One always may, however large. */
  add(waiting: WaitingRequest): void {
    const bytes = bytesOf(waiting.request)
    if (!this.isEmpty && this.#bytes + bytes > WAITING_BYTES_MAX) {
      const details = { waitingBytes: this.#bytes }
      waiting.reject(new MillraceError('MR_LOG_FULL', { message: 'the journal is waiting for the disk.', details }))
      return
    }
    this.#requests.push(waiting)
    this.#bytes += bytes
  }

  dropFirst(): void {
    if (this.first === null) return
    this.#bytes -= bytesOf(this.first.request)
    this.#head++
    // Only when at least half is empty: each request is moved once on average.
    const isSparse = this.#head >= EMPTY_MAX && this.#head * 2 >= this.#requests.length
    if (!this.isEmpty && !isSparse) return
    this.#requests = this.#requests.slice(this.#head)
    this.#head = 0
  }

  rejectAll(error: unknown): void {
    const waiting = this.#requests.slice(this.#head)
    this.#requests = []
    this.#head = 0
    this.#bytes = 0
    for (const { reject } of waiting) reject(error)
  }
}

function bytesOf({ parts }: Request): number {
  let bytes = 0
  for (const part of parts) bytes += part.batch.length
  return bytes
}
