// Keeps the newest status of the plant: the event stream first, polling while it is down, and the truth about the connection in between.
//
//   connecting --status--> live --silence or error--> lost --status--> live         any --token refused--> locked --open--> connecting
//                                                      | polls every RETRY_MS, and opens the stream anew each time
//
// It never shows an old status as a new one: whoever reads it sees since when the plant has been silent.
import type { PlantStatus } from 'millrace/api'
import { decodeStatus } from './decode.ts'
import { RequestError } from './requests.ts'

export type Connection =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** The server wants a token that the page has not got. */
  | { readonly state: 'locked' }
  | { readonly state: 'lost'; readonly sinceMs: number; readonly attempts: number }

export interface FeedSnapshot {
  readonly connection: Connection
  readonly status: PlantStatus | null
}

/** What the feed needs of the browser; tests hand in their own. */
export interface FeedDoors {
  /** Opens GET /api/events. Returns the function that closes it. */
  openEvents(onData: (text: string) => void, onError: (error: unknown) => void): () => void
  /** GET /api/status. */
  fetchStatus(): Promise<string>
  after(ms: number, run: () => void): () => void
  nowMs(): number
}

function wantsToken(error: unknown): boolean {
  return error instanceof RequestError && error.code === 'MR_HTTP_TOKEN'
}

/** The server sends a status every second; after this long without one the stream counts as dead. */
export const SILENCE_MS = 5000
export const RETRY_MS = 2000

export class PlantFeed {
  readonly #doors: FeedDoors
  readonly #readers = new Set<() => void>()
  #snapshot: FeedSnapshot = { connection: { state: 'connecting' }, status: null }
  #closeEvents: (() => void) | null = null
  #cancelTimer: (() => void) | null = null
  #closed = false

  constructor(doors: FeedDoors) {
    this.#doors = doors
  }

  readonly subscribe = (reader: () => void): (() => void) => {
    this.#readers.add(reader)
    return () => this.#readers.delete(reader)
  }

  readonly snapshot = (): FeedSnapshot => this.#snapshot

  /** Starts, or starts over with another token. */
  open(): void {
    this.#closed = false
    if (this.#snapshot.connection.state === 'locked') this.#publish({ connection: { state: 'connecting' }, status: null })
    this.#listen()
  }

  close(): void {
    this.#closed = true
    this.#closeEvents?.()
    this.#closeEvents = null
    this.#cancelTimer?.()
  }

  #listen(): void {
    this.#closeEvents?.()
    this.#closeEvents = this.#doors.openEvents(
      (text) => this.#receive(text),
      (error) => this.#lose(error),
    )
    this.#arm(SILENCE_MS, () => this.#lose())
  }

  #receive(text: string): void {
    if (this.#closed) return
    this.#publish({ connection: { state: 'live' }, status: decodeStatus<PlantStatus>(text) })
    if (this.#closeEvents !== null) this.#arm(SILENCE_MS, () => this.#lose())
  }

  #lose(error: unknown = null): void {
    if (this.#closed) return
    this.#closeEvents?.()
    this.#closeEvents = null
    if (wantsToken(error)) return this.#lock()
    this.#sayLost()
    this.#arm(RETRY_MS, () => void this.#retry())
  }

  /** Asks once for the status, which tells a dead server from a stream that something between cuts off, and opens the stream again. */
  async #retry(): Promise<void> {
    try {
      const text = await this.#doors.fetchStatus()
      this.#receive(text)
      if (!this.#closed) this.#listen()
    } catch (error) {
      if (this.#closed) return
      if (wantsToken(error)) return this.#lock()
      this.#sayLost()
      this.#arm(RETRY_MS, () => void this.#retry())
    }
  }

  /** Asking again would give the same answer: this waits for `open`. */
  #lock(): void {
    this.#cancelTimer?.()
    this.#publish({ connection: { state: 'locked' }, status: null })
  }

  #sayLost(): void {
    const { connection, status } = this.#snapshot
    const sinceMs = connection.state === 'lost' ? connection.sinceMs : this.#doors.nowMs()
    const attempts = connection.state === 'lost' ? connection.attempts + 1 : 0
    this.#publish({ connection: { state: 'lost', sinceMs, attempts }, status })
  }

  #arm(ms: number, run: () => void): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#doors.after(ms, run)
  }

  #publish(snapshot: FeedSnapshot): void {
    this.#snapshot = snapshot
    for (const reader of this.#readers) reader()
  }
}
