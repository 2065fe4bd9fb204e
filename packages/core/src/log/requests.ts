// Request keys that were answered, so that a repeated request appends nothing and gets the offsets of the first time.
// Remembered by the time of append, at least REQUEST_KEY_MS; forgotten in the order they came.
export const REQUEST_KEY_MS = 86_400_000
export const REQUEST_KEY_CHARACTERS_MAX = 512

interface Answered {
  readonly timeMs: number
  readonly firstOffsets: readonly number[]
}

export class Requests {
  readonly #byKey = new Map<string, Answered>()
  readonly #keepMs: number

  constructor(keepMs = REQUEST_KEY_MS) {
    this.#keepMs = keepMs
  }

  get size(): number {
    return this.#byKey.size
  }

  /** First offsets of the request with this key, or null when it is not known or too old. */
  find(key: string, nowMs: number): readonly number[] | null {
    const answered = this.#byKey.get(key)
    if (answered === undefined || nowMs - answered.timeMs > this.#keepMs) return null
    return answered.firstOffsets
  }

  add(key: string, firstOffsets: readonly number[], timeMs: number): void {
    this.#byKey.delete(key)
    this.#byKey.set(key, { timeMs, firstOffsets })
    for (const [oldest, answered] of this.#byKey) {
      if (timeMs - answered.timeMs <= this.#keepMs) break
      this.#byKey.delete(oldest)
    }
  }
}
