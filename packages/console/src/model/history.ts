// The last five minutes of every rate, for the chart. A series that appears late, or is missing for a while, has gaps, not zeros.

export const HISTORY_MS = 300_000

export interface Series {
  readonly name: string
  readonly values: readonly (number | null)[]
}

export interface Chart {
  /** Milliseconds. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
}

interface Moment {
  readonly atMs: number
  readonly values: ReadonlyMap<string, number>
}

/** A pause longer than this between two moments is shown as a gap. */
const GAP_MS = 4000

export class History {
  #moments: Moment[] = []

  take(atMs: number, values: ReadonlyMap<string, number>): void {
    const newest = this.#moments.at(-1)
    if (newest !== undefined && atMs < newest.atMs) this.#moments = []
    if (newest?.atMs === atMs) return
    if (newest !== undefined && atMs - newest.atMs > GAP_MS) this.#moments.push({ atMs: newest.atMs + 1, values: new Map() })
    this.#moments.push({ atMs, values })
    const first = this.#moments.findIndex((moment) => moment.atMs >= atMs - HISTORY_MS)
    if (first > 0) this.#moments.splice(0, first)
  }

  /** The series with the given names, in their order. */
  chart(names: readonly string[]): Chart {
    return {
      times: this.#moments.map((moment) => moment.atMs),
      series: names.map((name) => ({ name, values: this.#moments.map((moment) => moment.values.get(name) ?? null) })),
    }
  }
}
