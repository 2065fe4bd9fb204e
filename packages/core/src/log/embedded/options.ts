// What an embedded log is opened with, and its defaults.
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import type { SlotOrder } from './slot.ts'

export interface EmbeddedLogOptions {
  /** Made when it does not exist. Local disk only. */
  readonly folder: string
  readonly disk: Disk
  readonly clock: Clock
  readonly scheduler: Scheduler
  /** Bytes of one half of the journal at the start. Memory: two halves. Default 8 MiB. Smaller: less memory, more checkpoints. */
  readonly journalHalfBytes?: number
  /** Up to which a half grows, doubling, when commits had to wait for a checkpoint or checkpoints come often over many partitions. Default 64 MiB. */
  readonly journalHalfBytesMax?: number
  /** A segment is closed at this size. Default 64 MiB. Smaller: retention frees in finer steps, more files. */
  readonly segmentBytes?: number
  /**
   * Batches of at least this size are written to their segment at once instead of to the journal first, while entries take four times as
   * much. Default 64 KiB (measured, ADR 0003).
   */
  readonly referenceBytes?: number
  /** Appends of outsiders are refused while less than this is free. Default 256 MiB; 0 switches the check off. */
  readonly diskReserveBytes?: number
  /** How often retention, compaction and removal of files are looked at. Default 30 s; 0 leaves it to `maintain()`. */
  readonly maintainEveryMs?: number
  /** Which valid checkpoint slot counts. Only tests pass another order, to see that it is caught. */
  readonly slotOrder?: SlotOrder
}

export const JOURNAL_HALF_BYTES = 8 << 20
export const JOURNAL_HALF_BYTES_MAX = 64 << 20
export const SEGMENT_BYTES = 64 << 20
export const REFERENCE_BYTES = 64 << 10
export const DISK_RESERVE_BYTES = 256 << 20
export const MAINTAIN_EVERY_MS = 30_000
