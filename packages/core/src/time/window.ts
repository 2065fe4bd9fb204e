// Window arithmetic. A window is [start, end); start is a multiple of the size plus the offset, also for times before 1970.

export function windowStart(timeMs: number, sizeMs: number, offsetMs: number): number {
  return Math.floor((timeMs - offsetMs) / sizeMs) * sizeMs + offsetMs
}

/** A window closes when the watermark reaches its end plus the grace: later records for it are late. */
export function isClosed(windowEndMs: number, graceMs: number, watermarkMs: number): boolean {
  return windowEndMs + graceMs <= watermarkMs
}
