// What `start` and `dev` share: load the file, run the plant, wait for the signal to stop.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { useNativeCrc32c } from '@millrace/core/engine'
import { createLogLines } from '../server/log-lines.ts'
import { type Plant, startPlant } from '../server/plant.ts'
import type { CliContext, Invocation } from './context.ts'
import { loadPipelines } from './load-pipelines.ts'

/** Hashes of what lambdas may call: the user's modules, and the lock file, which pins everybody else's. */
export function moduleHashes(context: CliContext, file: string): readonly string[] {
  const hashes = context.modules.list().map(({ hash }) => hash)
  for (let folder = dirname(resolve(context.cwd, file)); ; folder = dirname(folder)) {
    const lock = join(folder, 'package-lock.json')
    if (existsSync(lock)) return [...hashes, createHash('sha256').update(readFileSync(lock)).digest('hex')]
    if (folder === dirname(folder)) return hashes
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

/** Starts the plant of a file. */
export async function servePlant(
  context: CliContext,
  { settings, options, json }: Invocation,
  file: string,
  onFatal: (error: unknown) => void,
): Promise<Plant> {
  const pipelines = await loadPipelines(file, context.cwd)
  await useNativeChecksum()
  const { clock, scheduler, disk } = context
  const { tlsKey, tlsCert } = settings
  return startPlant({
    folder: settings.data,
    pipelines,
    host: settings.host,
    port: settings.port,
    token: settings.token,
    tls: tlsKey === null || tlsCert === null ? null : { key: tlsKey, cert: tlsCert },
    hosts: settings.hosts,
    bodyBytesMax: settings.bodyBytesMax,
    memoryBytes: settings.memoryBytes,
    diskReserveBytes: settings.diskReserveBytes,
    startAt: settings.startAt,
    rebuild: options['rebuild'] === true,
    modules: moduleHashes(context, file),
    log: createLogLines({ clock, json, out: context.note }),
    clock,
    scheduler,
    disk,
    onFatal,
  })
}

/** Says that a plant runs and where to look. */
export function sayRunning(context: CliContext, { settings, json }: Invocation, plant: Plant): void {
  const names = [...plant.pipelines.keys()]
  if (json) return context.out(`${JSON.stringify({ url: plant.url, pid: process.pid, folder: settings.data, pipelines: names })}\n`)
  context.out(`millrace runs: ${names.join(', ')}\n  page    ${plant.url}\n  data    ${settings.data}\n  stop    Ctrl-C\n`)
}
