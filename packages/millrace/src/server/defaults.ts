// Defaults of a plant and the layout of its data folder: what the command line must know without loading a server.
// docs/settings.md has each with its reason.
import { join } from 'node:path'

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 4410
export const BODY_BYTES_MAX = 32 << 20
export const MEMORY_BYTES = 256 << 20
export const DISK_RESERVE_BYTES = 256 << 20

/** Folder of the log inside a data folder. */
export function logFolder(folder: string): string {
  return join(folder, 'log')
}
