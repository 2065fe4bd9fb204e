// The share of bad rows among the newest ones. Many bad rows in a row look like a bug in the pipeline, not like bad records: the task
// pauses instead of filling the dead letters. Two half windows, so that old rows are forgotten without a ring of flags.

/** Below this many bad rows nothing is concluded. */
const BAD_COUNT_MIN = 100

export class BadShare {
  readonly #shareMax: number
  readonly #half: number
  #rowsNew = 0
  #badNew = 0
  #rowsOld = 0
  #badOld = 0

  constructor(shareMax: number, window: number) {
    this.#shareMax = shareMax
    this.#half = Math.max(1, window / 2)
  }

  /** Rows came in, good and bad. */
  rows(count: number): void {
    if (this.#rowsNew >= this.#half) {
      this.#rowsOld = this.#rowsNew
      this.#badOld = this.#badNew
      this.#rowsNew = 0
      this.#badNew = 0
    }
    this.#rowsNew += count
  }

  /** One of the rows that came in is bad. */
  bad(): void {
    this.#badNew++
  }

  get badCount(): number {
    return this.#badNew + this.#badOld
  }
  get count(): number {
    return this.#rowsNew + this.#rowsOld
  }

  exceeded(): boolean {
    return this.badCount >= BAD_COUNT_MIN && this.badCount > this.#shareMax * this.count
  }
}
