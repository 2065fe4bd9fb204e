// How long records wait from their append to the commit that makes them count. A mark says up to which offset records were there at a time;
// the commit that passes marks tells the age of the oldest. Marks are few: what is between two of them counts with the later one.

/** Beyond this every other mark goes, and new ones are set half as often: a long backlog is told less exactly. */
const MARKS_MAX = 512
const EVERY_MS_MIN = 10

interface Mark {
  readonly end: number
  readonly atMs: number
}

/** Of one partition. Times are monotonic milliseconds. */
export class Arrivals {
  #marks: Mark[] = []
  #end: number
  #everyMs = 0

  /** Records below `end` came before anybody looked: nobody knows how long they wait. */
  constructor(end: number) {
    this.#end = end
  }

  /** The partition's visible end is `end` now. */
  arrived(end: number, nowMs: number): void {
    const newest = this.#marks.at(-1)
    if (end <= this.#end || (newest !== undefined && nowMs - newest.atMs < this.#everyMs)) return
    this.#end = end
    this.#marks.push({ end, atMs: nowMs })
    if (this.#marks.length <= MARKS_MAX) return
    this.#marks = this.#marks.filter((_, index) => index % 2 === 0)
    this.#everyMs = Math.max(EVERY_MS_MIN, 2 * this.#everyMs)
  }

  /** How long the oldest record that does not count yet has been there; 0 when there is none, or when it came before anybody looked. */
  waitingMs(nowMs: number): number {
    const [mark] = this.#marks
    return mark === undefined ? 0 : Math.max(0, nowMs - mark.atMs)
  }

  /** Everything below `next` counts now. Returns how long the oldest of it has waited; null when that is not known. */
  passed(next: number, nowMs: number): number | null {
    const count = this.#marks.findIndex((mark) => mark.end > next)
    if (count < 0) this.#everyMs = 0
    const passed = this.#marks.splice(0, count < 0 ? this.#marks.length : count)
    return passed[0] === undefined ? null : Math.max(0, nowMs - passed[0].atMs)
  }
}
