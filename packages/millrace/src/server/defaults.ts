// Defaults of a plant and the layout of its data folder: what the command line must know without loading a server.
// docs/settings.md has each with its reason.
import { join } from 'node:path'

export const DEFAULT_HOST = '127.0.0.1'
/** Data folder of a plant that nobody gave one, in the folder it is started in. */
export const DATA_FOLDER = 'millrace-data'
export const DEFAULT_PORT = 4410
export const BODY_BYTES_MAX = 32 << 20
export const MEMORY_BYTES = 256 << 20
export const DISK_RESERVE_BYTES = 256 << 20

/** A clock that is earlier was never set: a machine without one of its own, before it has asked another. */
export const CLOCK_LEAST_MS: number = Date.UTC(2026, 0, 1)
export const CLOCK_FIX =
  'Set the clock of the machine (NTP), then start again: event times far ahead of it are held back, and what is appended may be past its retention once it is set.'

/** What can be meant: the least and the most, bytes. Below the least nothing would work, above the most a unit is wrong. */
export const RANGES = {
  bodyBytesMax: [1 << 10, 1 << 30],
  memoryBytes: [1 << 18, 2 ** 40],
  diskReserveBytes: [0, 2 ** 60],
  snapshotBytesMin: [1, 2 ** 40],
} as const

/** A header can carry it, and no shell or file has added a space at its ends. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)
}

/** A name or address as a `Host` header has it, without a scheme and without a pattern. */
export function isHostName(text: string): boolean {
  return /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[?[0-9a-f:.]+\]?)(?::\d+)?$/i.test(text)
}

/** Folder of the log inside a data folder. */
export function logFolder(folder: string): string {
  return join(folder, 'log')
}
