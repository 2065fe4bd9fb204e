// Records per second over the last seconds, from counters that only grow.
import type { Clock } from '@millrace/core/engine'

const WINDOW_MS = 5_000

interface Sample {
  readonly atMs: number
  readonly values: ReadonlyMap<string, number>
}

export class Rates {
  readonly #clock: Clock
  #samples: Sample[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes the counters as they are now; called each second. */
  sample(values: ReadonlyMap<string, number>): void {
    const atMs = this.#clock.monotonicMs()
    this.#samples.push({ atMs, values })
    while (this.#samples.length > 2 && atMs - (this.#samples[1] as Sample).atMs >= WINDOW_MS) this.#samples.shift()
  }

  /** Per second, by counter; nothing before the second sample. */
  read(): Readonly<Record<string, number>> {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const rates: Record<string, number> = Object.create(null) as Record<string, number>
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return rates
    for (const [name, value] of last.values) {
      // A counter that fell was made again (a topic deleted and created, a task restarted): it counts from zero.
      const before = first.values.get(name) ?? 0
      rates[name] = Math.round((((value >= before ? value - before : value) * 1000) / (last.atMs - first.atMs)) * 10) / 10
    }
    return rates
  }
}
