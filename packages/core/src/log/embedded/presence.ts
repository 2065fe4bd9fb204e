// What must be there, and what must not: a folder that has lost one of its files is never taken for a new log, which would delete the rest.
import type { Disk } from '../../base/disk.ts'
import { readFully } from '../../base/disk.ts'
import { MillraceError } from '../../base/errors.ts'
import { formatPath, journalPath } from './format.ts'
import { HALF_BYTES_MIN } from './half.ts'
import { readSlot } from './slot.ts'

const ENTRY_BYTES_LOOKED_AT = 64

/**
 * A folder without the format file may hold what the making of a log leaves when it is cut off: empty halves and checkpoints without a topic.
 * @throws {MillraceError} `MR_LOG_CORRUPT` when it holds more: it was a log, and its format file is gone.
 */
export function requireNeverUsed(disk: Disk, folder: string): void {
  const used =
    disk.list(`${folder}/topics`).length > 0 ||
    [0, 1].some((index) => hasTopics(disk, folder, index)) ||
    [0, 1].some((index) => hasEntries(disk, journalPath(folder, index)))
  if (!used) return
  throw new MillraceError('MR_LOG_CORRUPT', {
    message: 'the folder holds a log, but its format file is missing; nothing was changed.',
    details: { file: formatPath(folder), position: 0 },
    fix: 'Bring the file back: it has one line, `millrace log 1`. Then run `npx millrace fsck`.',
  })
}

/**
 * Halves of the journal that are not there, or shorter than they were, with the size that each had. Either slot may say it: files of halves
 * only grow, and a size is recorded when the file has it.
 */
export function missingHalves(disk: Disk, folder: string): ReadonlyMap<number, number> {
  const slots = [0, 1].map((slot) => readSlot(disk, folder, slot))
  const missing = new Map<number, number>()
  for (const index of [0, 1]) {
    const sizes = slots.map((slot) => (slot.kind === 'valid' ? (slot.value.image.halves?.[index] ?? 0) : 0))
    const bytes = Math.max(HALF_BYTES_MIN, ...sizes)
    if ((disk.stat(journalPath(folder, index))?.size ?? 0) < bytes) missing.set(index, bytes)
  }
  return missing
}

/** @throws {MillraceError} `MR_LOG_CORRUPT` when a half of the journal is missing or cut short: acknowledged entries may have been in it. */
export function requireHalves(disk: Disk, folder: string): void {
  const [index] = missingHalves(disk, folder).keys()
  if (index === undefined) return
  const file = journalPath(folder, index)
  throw new MillraceError('MR_LOG_CORRUPT', {
    message: `a half of the journal is ${disk.exists(file) ? 'cut short' : 'missing'}; nothing was changed.`,
    details: { file, position: disk.stat(file)?.size ?? 0 },
    fix: 'Bring the file back from where it went. When it is lost, `npx millrace fsck --repair` goes on with what the segments hold.',
  })
}

function hasTopics(disk: Disk, folder: string, index: number): boolean {
  const slot = readSlot(disk, folder, index)
  return slot.kind === 'damaged' || (slot.kind === 'valid' && slot.value.image.topics.length > 0)
}

function hasEntries(disk: Disk, path: string): boolean {
  if (!disk.exists(path)) return false
  const file = disk.open(path, 'read')
  try {
    const bytes = new Uint8Array(ENTRY_BYTES_LOOKED_AT)
    return readFully(file, bytes, 0) && bytes.some((byte) => byte !== 0)
  } finally {
    file.close()
  }
}
