// One sleeper, many wakers: a task's loop waits here for data, progress, a query, a stop or a timeout, whichever comes first.
import type { Scheduler, Timer } from '../base/scheduler.ts'

export class Wakeup {
  readonly #scheduler: Scheduler
  #pending = false
  #resolve: (() => void) | null = null
  #timer: Timer | null = null

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** Ends the current wait, or the next one at once. */
  readonly wake = (): void => {
    this.#pending = true
    const resolve = this.#resolve
    if (resolve === null) return
    this.#resolve = null
    this.#timer?.cancel()
    this.#timer = null
    resolve()
  }

  /** Resolves at the next wake or after `timeoutMs`; at once when woken since the last wait. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
        if (timeoutMs < Number.POSITIVE_INFINITY) this.#timer = this.#scheduler.after(timeoutMs, this.wake)
      })
    }
    this.#pending = false
  }
}
