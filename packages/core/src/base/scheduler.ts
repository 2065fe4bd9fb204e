// The only door to timers and turns of the event loop. The simulation puts its own seeded scheduler here.

export interface Timer {
  cancel(): void
}

export interface Scheduler {
  /** Calls `run` once, not earlier than `delayMs` from now. A timer does not keep the process alive by itself. */
  after(delayMs: number, run: () => void): Timer
  /** Resolves in a later turn of the event loop, after pending I/O had its chance. */
  turn(): Promise<void>
}

/** The scheduler of this process. */
export const systemScheduler: Scheduler = {
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** Resolves after `delayMs`. */
export function sleep(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => scheduler.after(delayMs, resolve))
}
