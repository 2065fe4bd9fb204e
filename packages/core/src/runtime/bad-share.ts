// The share of bad rows among the newest ones. Many bad rows in a row look like a bug in the pipeline, not like bad records: the task
// pauses instead of filling the dead letters. Two half windows, so that old rows are forgotten without a ring of flags.

/** Below this many bad rows nothing is concluded. */
const BAD_COUNT_MIN = 100

export class BadShare {
  readonly #shareMax: number
  readonly #half: number
  #goodNew = 0
  #badNew = 0
  #goodOld = 0
  #badOld = 0

  constructor(shareMax: number, window: number) {
    this.#shareMax = shareMax
    this.#half = Math.max(1, window / 2)
  }

  good(count: number): void {
    this.#goodNew += count
    this.#turn()
  }

  bad(): void {
    this.#badNew++
    this.#turn()
  }

  #turn(): void {
    if (this.#goodNew + this.#badNew < this.#half) return
    this.#goodOld = this.#goodNew
    this.#badOld = this.#badNew
    this.#goodNew = 0
    this.#badNew = 0
  }

  get badCount(): number {
    return this.#badNew + this.#badOld
  }
  get count(): number {
    return this.badCount + this.#goodNew + this.#goodOld
  }

  exceeded(): boolean {
    return this.badCount >= BAD_COUNT_MIN && this.badCount > this.#shareMax * this.count
  }
}
