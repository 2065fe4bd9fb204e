// Clocks of the benchmarks: CPU-seconds over all threads of the process, wall seconds, and order statistics.
// BENCH_CPU_PROF=folder leaves a CPU profile of every measured stretch there; profile.ts lists its hottest functions.
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import path from 'node:path'

export interface Spent {
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

/** CPU and wall seconds that `work` takes in this process, garbage collector and compiler threads included. */
export async function spent(work: () => unknown): Promise<Spent> {
  const folder = process.env['BENCH_CPU_PROF']
  return folder === undefined ? timed(work) : profiled(folder, () => timed(work))
}

async function timed(work: () => unknown): Promise<Spent> {
  const cpuBefore = process.cpuUsage()
  const wallBefore = performance.now()
  await work()
  const { user, system } = process.cpuUsage(cpuBefore)
  return { cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - wallBefore) / 1000 }
}

/** Stretches profiled so far in this process. */
let profileCount = 0

async function profiled<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  const result = await work()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const [name, order] = [path.basename(process.argv[2] ?? ''), process.argv[3] ?? '']
  const phase = order.includes('obvious') ? 'obvious' : 'own'
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, `${name}-${phase}-${process.pid}-${profileCount++}.cpuprofile`), JSON.stringify(profile))
  return result
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
