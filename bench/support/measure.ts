// Clocks of the benchmarks: CPU-seconds over all threads of the process, wall seconds, and order statistics.

export interface Spent {
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

/** CPU and wall seconds that `work` takes in this process, garbage collector and compiler threads included. */
export async function spent(work: () => unknown): Promise<Spent> {
  const cpuBefore = process.cpuUsage()
  const wallBefore = performance.now()
  await work()
  const { user, system } = process.cpuUsage(cpuBefore)
  return { cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - wallBefore) / 1000 }
}

/** The value at `share` (0..1) of the sorted values; NaN without values. */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Largest resident size of this process so far, bytes. */
export function residentBytesMax(): number {
  return process.resourceUsage().maxRSS * 1024
}
