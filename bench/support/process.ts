// Starts measured processes: fresh, on this Node, on one core where the system can pin them.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { BenchContext, Measured } from './case.ts'

export type PhaseResult = Measured | { readonly missing: string }

/** A phase that takes longer hangs. */
const PHASE_MS_MAX = 15 * 60_000
const canPin = availableParallelism() > 1 && spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0
/** The last core: the first one serves most interrupts. */
const CORE = availableParallelism() - 1

/** Program and arguments that run `file` with this Node, on one core if it can be pinned. `core` null leaves the choice to the system. */
export function nodeCommand(file: string, args: readonly string[], core: number | null): readonly [string, readonly string[]] {
  const node = [process.execPath, '--expose-gc', '--conditions=mr-source', file, ...args] as const
  if (core === null || !canPin) return [node[0], node.slice(1)]
  return ['taskset', ['-c', String(core), ...node]]
}

/** Runs phases of a case in one fresh process and returns what they printed, in order. */
export async function runPhases(
  file: string,
  phases: readonly string[],
  context: BenchContext,
  everyCore: boolean,
): Promise<PhaseResult[]> {
  const order = JSON.stringify({ ...context, phases })
  const phaseFile = path.join(import.meta.dirname, 'phase.ts')
  const [program, args] = nodeCommand(phaseFile, [file, order], everyCore ? null : CORE)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: PHASE_MS_MAX })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => (output += text))
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(status ?? signal ?? 'unknown'))
  })
  if (code !== 0) throw new Error(`the process of ${phases.join(', ')} ended with ${code}`)
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as PhaseResult)
}

/** A helper process of a measured one (a load generator), on the first core, with a channel for messages. */
export function forkCommand(file: string, args: readonly string[]): ChildProcess {
  const node = [process.execPath, '--conditions=mr-source', file, ...args]
  const [program = '', ...rest] = canPin ? ['taskset', '-c', '0', ...node] : node
  return spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
