// One journal entry: the unit of durability. All of it counts or none of it does.
//
//   header 64 bytes | inline batches, one behind the other | zeros to 8 | table: one row of 40 bytes per batch | metadata, JSON | zeros to 8
//
// The entry's CRC covers header, table and metadata; the table names length and CRC of every batch, so the entry is whole exactly when its
// CRC and those of its batches hold. Each entry names the CRC of its predecessor: bytes of an earlier life of the same place never fit.
// The table stands behind the batches so that a batch is copied once, straight to where it will be written from.
// All numbers are little-endian; 64-bit ones stay below 2^53.
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'

export const ENTRY_HEADER_BYTES = 64
export const ENTRY_ROW_BYTES = 40
/** "MRJ1" in the file. */
export const ENTRY_MAGIC = 0x314a524d

/** The batch lies in its segment already, not in the entry. */
export const ROW_BY_REFERENCE = 1

/** Which life of the log wrote an entry: counted up and salted at every start, so that entries of earlier lives are told apart for certain. */
export interface Run {
  readonly number: number
  readonly salt: number
}

export interface EntryHeader {
  readonly crc: number
  readonly run: Run
  readonly sequence: number
  readonly previousCrc: number
  /** Bytes of the whole entry, a multiple of 8. */
  readonly size: number
  readonly batchBytes: number
  readonly rowCount: number
  readonly metaBytes: number
  /** Time of append of every batch in the entry. */
  readonly timeMs: number
}

/** One row of an entry's table. */
export interface EntryRow {
  partition: number
  length: number
  /** The CRC-32C that the batch carries. */
  crc: number
  flags: number
  firstOffset: number
  /** Base offset of the batch's segment: its own first offset when it begins a new one. */
  segmentBase: number
  /** Where the batch lies in its segment. */
  position: number
  /** Offsets that the batch takes: last - first + 1. */
  count: number
}

export function align8(bytes: number): number {
  return (bytes + 7) & ~7
}

export function tableStart(start: number, header: EntryHeader): number {
  return start + ENTRY_HEADER_BYTES + align8(header.batchBytes)
}

function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 4294967296), true)
}
function get64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 4294967296
}

/** The rows gathered for the open entry, already in the form in which they are stored. */
export class RowTable {
  #bytes = new Uint8Array(64 * ENTRY_ROW_BYTES)
  #view = new DataView(this.#bytes.buffer)
  count = 0

  add(
    partition: number,
    length: number,
    crc: number,
    flags: number,
    firstOffset: number,
    segmentBase: number,
    position: number,
    count: number,
  ): void {
    const at = this.count * ENTRY_ROW_BYTES
    if (at === this.#bytes.length) this.#grow()
    const view = this.#view
    view.setUint32(at, partition, true)
    view.setUint32(at + 4, length, true)
    view.setUint32(at + 8, crc, true)
    view.setUint32(at + 12, flags, true)
    put64(view, at + 16, firstOffset)
    put64(view, at + 24, segmentBase)
    view.setUint32(at + 32, position, true)
    view.setUint32(at + 36, count, true)
    this.count++
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.count * ENTRY_ROW_BYTES)
  }

  clear(): void {
    this.count = 0
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/**
 * Completes an entry whose inline batches lie at `start + 64`: writes table, metadata, padding and header.
 * Returns its CRC and the position behind it.
 */
export function sealEntry(
  memory: Uint8Array,
  view: DataView,
  start: number,
  batchBytes: number,
  rows: RowTable,
  meta: Uint8Array,
  place: { readonly run: Run; readonly sequence: number; readonly previousCrc: number; readonly timeMs: number },
): { readonly crc: number; readonly end: number } {
  const batchesEnd = start + ENTRY_HEADER_BYTES + batchBytes
  const table = start + ENTRY_HEADER_BYTES + align8(batchBytes)
  memory.fill(0, batchesEnd, table)
  memory.set(rows.bytes, table)
  const metaStart = table + rows.count * ENTRY_ROW_BYTES
  memory.set(meta, metaStart)
  const end = metaStart + align8(meta.length)
  memory.fill(0, metaStart + meta.length, end)
  view.setUint32(start, ENTRY_MAGIC, true)
  view.setUint32(start + 8, place.run.number, true)
  view.setUint32(start + 12, place.run.salt, true)
  put64(view, start + 16, place.sequence)
  view.setUint32(start + 24, place.previousCrc, true)
  view.setUint32(start + 28, end - start, true)
  view.setUint32(start + 32, batchBytes, true)
  view.setUint32(start + 36, rows.count, true)
  view.setUint32(start + 40, meta.length, true)
  view.setUint32(start + 44, 0, true)
  view.setFloat64(start + 48, place.timeMs, true)
  put64(view, start + 56, 0)
  const crc = entryCrc(memory, start, table, end)
  view.setUint32(start + 4, crc, true)
  assert(end <= memory.length, 'an entry ends inside its half')
  return { crc, end }
}

function entryCrc(memory: Uint8Array, start: number, table: number, end: number): number {
  return crc32c(memory, table, end, crc32c(memory, start + 8, start + ENTRY_HEADER_BYTES))
}

/** Reads the header at `start` when its numbers can be those of an entry inside the half; does not check the CRC. */
export function readEntryHeader(memory: Uint8Array, view: DataView, start: number): EntryHeader | null {
  if (start + ENTRY_HEADER_BYTES > memory.length || view.getUint32(start, true) !== ENTRY_MAGIC) return null
  const header: EntryHeader = {
    crc: view.getUint32(start + 4, true),
    run: { number: view.getUint32(start + 8, true), salt: view.getUint32(start + 12, true) },
    sequence: get64(view, start + 16),
    previousCrc: view.getUint32(start + 24, true),
    size: view.getUint32(start + 28, true),
    batchBytes: view.getUint32(start + 32, true),
    rowCount: view.getUint32(start + 36, true),
    metaBytes: view.getUint32(start + 40, true),
    timeMs: view.getFloat64(start + 48, true),
  }
  const size = ENTRY_HEADER_BYTES + align8(header.batchBytes) + header.rowCount * ENTRY_ROW_BYTES + align8(header.metaBytes)
  return size === header.size && start + size <= memory.length ? header : null
}

/** True when header, table and metadata of the entry at `start` are what was written. Says nothing about its batches. */
export function entryTableHolds(memory: Uint8Array, start: number, header: EntryHeader): boolean {
  return entryCrc(memory, start, tableStart(start, header), start + header.size) === header.crc
}

/** Row `index` of the entry. */
export function readEntryRow(view: DataView, start: number, header: EntryHeader, index: number): EntryRow {
  const at = tableStart(start, header) + index * ENTRY_ROW_BYTES
  return {
    partition: view.getUint32(at, true),
    length: view.getUint32(at + 4, true),
    crc: view.getUint32(at + 8, true),
    flags: view.getUint32(at + 12, true),
    firstOffset: get64(view, at + 16),
    segmentBase: get64(view, at + 24),
    position: view.getUint32(at + 32, true),
    count: view.getUint32(at + 36, true),
  }
}

/** The metadata bytes of the entry. */
export function entryMeta(memory: Uint8Array, start: number, header: EntryHeader): Uint8Array {
  const at = tableStart(start, header) + header.rowCount * ENTRY_ROW_BYTES
  return memory.slice(at, at + header.metaBytes)
}
