// Names, versions and fixed numbers of the embedded log's folder. docs/formats/log.md specifies every byte; a change there raises the version.
//
//   format                          text, written last when a log is made: what it is and its version
//   lock.N                          held by the one process that owns the folder
//   journal-0, journal-1            the two halves of the journal
//   checkpoint-0, checkpoint-1      the two slots; the valid one with the larger generation counts
//   quarantine/                     journal entries that were damaged while later ones were whole
//   topics/<topic id>/<partition>/  segments `<base offset>.log` and their indexes `<base offset>.index`
//   requests/                       segments of partition 0: the request keys
import type { Disk } from '../../base/disk.ts'
import { MillraceError } from '../../base/errors.ts'

/** Raised when a reader of the old version could misread a folder of the new one. */
export const FORMAT_VERSION = 1
const FORMAT_WORDS = 'millrace log'

/** Journal and files are prefilled in writes of this size: larger ones make every later small write dearer (measured, ADR 0003). */
export const PREFILL_BYTES = 65_536
/** The partition that holds request keys; it belongs to no topic. */
export const REQUESTS_PARTITION = 0
export const REQUESTS_FOLDER = 'requests'

export function formatPath(folder: string): string {
  return `${folder}/format`
}
export function journalPath(folder: string, half: number): string {
  return `${folder}/journal-${half}`
}
export function checkpointPath(folder: string, slot: number): string {
  return `${folder}/checkpoint-${slot}`
}
export function quarantineFolder(folder: string): string {
  return `${folder}/quarantine`
}
export function topicFolder(folder: string, topicId: string): string {
  return `${folder}/topics/${topicId}`
}
export function partitionFolder(folder: string, topicId: string, index: number): string {
  return `${folder}/topics/${topicId}/${index}`
}

function digits(offset: number): string {
  return String(offset).padStart(20, '0')
}

/** Name of a segment that takes appends. */
export function segmentName(base: number): string {
  return `${digits(base)}.log`
}
/** Name of a segment that compaction wrote: it stands for every segment whose base lies in [base, end). */
export function compactedName(base: number, end: number, generation: number): string {
  return `${digits(base)}-${digits(end)}.${generation}.log`
}
/** The index of a segment has the same name with another ending. */
export function indexPathOf(segmentPath: string): string {
  return segmentPath.replace(/\.log$/, '.index')
}

export interface SegmentName {
  readonly name: string
  readonly base: number
  /** One past the last offset it stands for; null for a segment that takes appends (up to the next one). */
  readonly end: number | null
  /** 0 for a segment that takes appends; each compaction over the same range counts up. */
  readonly generation: number
}

/** Parses a file name of a partition's folder; null for anything that is not a segment. */
export function parseSegmentName(name: string): SegmentName | null {
  const plain = /^(\d{20})\.log$/.exec(name)
  if (plain) return { name, base: Number(plain[1]), end: null, generation: 0 }
  const compacted = /^(\d{20})-(\d{20})\.(\d+)\.log$/.exec(name)
  if (compacted) return { name, base: Number(compacted[1]), end: Number(compacted[2]), generation: Number(compacted[3]) }
  return null
}

/** Segments of a folder in order of base offset, without those that a compacted one stands for (given as `obsolete`). */
export function resolveSegmentNames(names: readonly string[]): {
  readonly live: readonly SegmentName[]
  readonly obsolete: readonly SegmentName[]
} {
  const parsed: SegmentName[] = []
  for (const name of names) {
    const segment = parseSegmentName(name)
    if (segment) parsed.push(segment)
  }
  parsed.sort((a, b) => a.base - b.base || b.generation - a.generation)
  const covers = parsed.filter((segment) => segment.end !== null)
  const live: SegmentName[] = []
  const obsolete: SegmentName[] = []
  for (const segment of parsed) {
    const covered = covers.some(
      (cover) =>
        cover !== segment &&
        cover.end !== null &&
        cover.generation > segment.generation &&
        cover.base <= segment.base &&
        segment.base < cover.end,
    )
    ;(covered ? obsolete : live).push(segment)
  }
  return { live, obsolete }
}

/** Reads the version of a folder: null when the folder holds no finished log. Throws MR_LOG_FORMAT_NEWER, MR_LOG_CORRUPT. */
export function readFormat(disk: Disk, folder: string): number | null {
  const path = formatPath(folder)
  if (!disk.exists(path)) return null
  const file = disk.open(path, 'read')
  try {
    const bytes = new Uint8Array(256)
    let count = 0
    for (let got = 1; got > 0 && count < bytes.length; count += got) got = file.read(bytes.subarray(count), count)
    const match = /^millrace log (\d+)\n/.exec(new TextDecoder().decode(bytes.subarray(0, count)))
    if (!match) throw new MillraceError('MR_LOG_CORRUPT', { message: 'the format file is damaged.', details: { file: path, position: 0 } })
    const version = Number(match[1])
    if (version > FORMAT_VERSION)
      throw new MillraceError('MR_LOG_FORMAT_NEWER', { details: { folder, version, supported: FORMAT_VERSION } })
    return version
  } finally {
    file.close()
  }
}

/** Writes the format file durably. Last step of making a log: a folder without it holds nothing that was ever acknowledged. */
export function writeFormat(disk: Disk, folder: string): void {
  const temporary = `${formatPath(folder)}.new`
  const file = disk.open(temporary, 'create')
  file.write(new TextEncoder().encode(`${FORMAT_WORDS} ${FORMAT_VERSION}\n`), 0)
  file.sync()
  file.close()
  disk.rename(temporary, formatPath(folder))
  disk.syncFolder(folder)
}
