// What `start` and `dev` share: load the file, run the plant, wait for the signal to stop.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMillraceError, sleep, useNativeCrc32c, type WorkerOptions } from '@millrace/core/engine'
import { createLogLines } from '../server/watch/log-lines.ts'
import type { Plant, PlantOptions } from '../server/plant.ts'
import type { CliContext, Invocation } from './context.ts'
import { type Definitions, loadDefinitions } from './load-definitions.ts'
import { SUPERVISED } from './supervise.ts'

const LOCK_ASK_MS = 100

/** What `start` and `dev` take when state has changed. */
export const DROP_STATE = { name: 'drop-state', summary: 'Give up the state of operators that the file no longer has.' } as const

/** Hashes of what lambdas may call: the user's modules, and the lock file, which pins everybody else's. */
export function moduleHashes(context: CliContext, file: string): readonly string[] {
  const hashes = context.modules.list().map(({ hash }) => hash)
  for (let folder = dirname(resolve(context.cwd, file)); ; folder = dirname(folder)) {
    const lock = join(folder, 'package-lock.json')
    if (existsSync(lock)) return [...hashes, createHash('sha256').update(readFileSync(lock)).digest('hex')]
    if (folder === dirname(folder)) return hashes
  }
}

/** Workers import the user's file themselves, and the native checksum where it is installed. */
function workerOptions(count: number, path: string): WorkerOptions {
  const module = pathToFileURL(path).href
  try {
    return { count, module, nativeCrc32c: { module: import.meta.resolve('@node-rs/crc32'), exportName: 'crc32c' } }
  } catch {
    return { count, module }
  }
}

/** A native CRC-32C where it is installed; without it the log is as correct and reads a little slower. */
export async function useNativeChecksum(): Promise<void> {
  try {
    const { crc32c } = await import('@node-rs/crc32')
    useNativeCrc32c((bytes, seed) => crc32c(bytes as Buffer, seed))
  } catch {
    // Optional: not there for every platform.
  }
}

export interface RunPlantOptions {
  /** Whether state that has changed is built again. */
  readonly rebuild: boolean | 'unnoticed'
  /** How long a folder may be another process's: a command that reads while no server runs has it for a moment. Default 0. */
  readonly lockWaitMs?: number
  /** Called when the file and everything that it imports is loaded. */
  readonly onLoaded?: () => void
  /** Called instead of a warning when loading takes long. */
  readonly onSlow?: () => void
}

/** Runs the plant of a file until a signal comes. Returns the exit code. */
export async function runPlant(context: CliContext, invocation: Invocation, options: RunPlantOptions): Promise<number> {
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // A stop while pipelines are restored is a stop too.
  const signal = context.stopSignal()
  const checksum = useNativeChecksum()
  // Nothing runs yet, and a file may load for ever: a stop ends that at once.
  const loading = loadDefinitions(invocation.words[0] as string, context, {
    json: invocation.json,
    ...(options.onSlow === undefined ? {} : { onSlow: options.onSlow }),
  })
  const definitions = await Promise.race([loading, signal.then(() => null)])
  if (definitions === null) return 0
  options.onLoaded?.()
  await checksum
  const plant = await servePlant(context, invocation, definitions, options, fail)
  process.on('unhandledRejection', (reason: unknown) => {
    if (!plant.takeRejection(reason)) throw reason
  })
  sayRunning(context, invocation, plant)
  // A log that failed cannot commit: there is nothing to drain, and the next start recovers to the last commit.
  const name = await Promise.race([signal, failed])
  // Under `dev` a stop may be half of a restart, and the process that the user has started says what it is.
  if (invocation.options[SUPERVISED] !== true) context.note(`millrace: ${name}: stopping (again to stop at once)\n`)
  await plant.stop()
  return 0
}

async function servePlant(
  context: CliContext,
  { words, settings, options, json }: Invocation,
  { pipelines, sources }: Definitions,
  { rebuild, lockWaitMs = 0 }: RunPlantOptions,
  onFatal: (error: unknown) => void,
): Promise<Plant> {
  const file = words[0] as string
  const { startPlant } = await import('../server/plant.ts')
  const { clock, scheduler, disk } = context
  const { tlsKey, tlsCert } = settings
  const plantOptions: PlantOptions = {
    folder: settings.data,
    pipelines,
    sources,
    host: settings.host,
    port: settings.port,
    token: settings.token,
    tls: tlsKey === null || tlsCert === null ? null : { key: tlsKey, cert: tlsCert },
    hosts: settings.hosts,
    bodyBytesMax: settings.bodyBytesMax,
    memoryBytes: settings.memoryBytes,
    diskReserveBytes: settings.diskReserveBytes,
    startAt: settings.startAt,
    rebuild,
    dropState: options['drop-state'] === true,
    workers: settings.workers === 0 ? null : workerOptions(settings.workers, resolve(context.cwd, file)),
    ...(settings.snapshotBytesMin === null ? {} : { snapshotBytesMin: settings.snapshotBytesMin }),
    modules: moduleHashes(context, file),
    log: createLogLines({ clock, json, out: context.note }),
    clock,
    scheduler,
    disk,
    onFatal,
  }
  for (let waitedMs = 0; ; waitedMs += LOCK_ASK_MS) {
    try {
      return await startPlant(plantOptions)
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'MR_LOG_LOCKED' || waitedMs >= lockWaitMs) throw error
      await sleep(scheduler, LOCK_ASK_MS)
    }
  }
}

/** Types of Linux file systems that have no disk: tmpfs and ramfs, as `statfs(2)` names them. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

function isInMemory(folder: string): boolean {
  return process.platform === 'linux' && IN_MEMORY.has(statfsSync(folder).type)
}

/** Says that a plant runs and where to look. */
function sayRunning(context: CliContext, { settings, json }: Invocation, plant: Plant): void {
  const names = [...plant.pipelines.keys()]
  if (json) return context.out(`${JSON.stringify({ url: plant.url, pid: process.pid, folder: settings.data, pipelines: names })}\n`)
  context.out(`millrace runs: ${names.join(', ')}\n  page    ${plant.url}\n  data    ${settings.data}\n  stop    Ctrl-C\n`)
  if (isInMemory(settings.data))
    context.note(
      `warning: ${settings.data} is in memory (tmpfs): what is acknowledged is gone when the machine restarts\n  fix: Name a folder on a disk with \`--data\`.\n`,
    )
}
