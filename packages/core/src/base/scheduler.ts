// The only door to timers and turns of the event loop. The simulation puts its own seeded scheduler here.

export interface Timer {
  cancel(): void
}

export interface Scheduler {
  /** Calls `run` once, not earlier than `delayMs` from now. A waiting timer keeps the process alive: a pipeline that waits for data must not end the program. */
  after(delayMs: number, run: () => void): Timer
  /** Resolves in a later turn of the event loop, after pending I/O had its chance. */
  turn(): Promise<void>
}

/** The scheduler of this process. */
export const systemScheduler: Scheduler = {
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs)
    return { cancel: () => clearTimeout(handle) }
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}

/** Resolves after `delayMs`. */
export function sleep(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => scheduler.after(delayMs, resolve))
}
