// Runs a generated scanner over a batch: copies some hundred records into its memory, calls it once, and copies what it read into the columns.
// Then come the values that it left over and the records that it gave up, both through the general scanner and from the records' own bytes.
import type { DecodedColumns, FieldSlot } from '../decoded-columns.ts'
import { ROW_OK } from '../decoded-columns.ts'
import type { GeneralScanner } from './general.ts'
import { FAIL } from './scan.ts'
import {
  ENDS_AT,
  LEFT_AT,
  LEFT_COUNT_AT,
  MISSES_AT,
  MISS_COUNT_AT,
  SCAN_ROWS_MAX,
  SCAN_SLOTS_MAX,
  SCAN_TEXT_BYTES_MAX,
  STARTS_AT,
  type ScannerMemory,
  scannerMemory,
  slotAt,
  TEXT_AT,
} from './scanner-memory.ts'

/**
 * Decodes rows[from .. count) and returns where it stopped: `count`, or earlier when too many records did not have the layout.
 */
export type SpeculativeScanner = (
  general: GeneralScanner,
  into: DecodedColumns,
  bytes: Uint8Array,
  view: DataView,
  starts: Int32Array,
  ends: Int32Array,
  rows: Int32Array | null,
  from: number,
  count: number,
) => number

/** The scanner of a generated module; null where there is no WebAssembly for it. */
export function compileScanner(module: Uint8Array<ArrayBuffer>): SpeculativeScanner | null {
  const memory = scannerMemory()
  if (memory === null) return null
  const scan = memory.link(module)
  return (general, into, bytes, view, starts, ends, rows, from, count) => {
    for (let done = from; done < count;) {
      const lot = takeLot(memory, bytes, starts, ends, rows, done, count)
      if (lot === 0) {
        // One record that is larger than the memory.
        const row = rows === null ? done : (rows[done] as number)
        general.row(row, starts[row] as number, ends[row] as number)
        done++
        continue
      }
      const scanned = scan(lot, delta)
      copyOut(memory, into, bytes, view, rows, done, scanned)
      finishRows(memory, general, into, starts, ends, rows, done)
      done += scanned
      if (scanned < lot) return done
    }
    return count
  }
}

/** What turns places in the records' bytes into places in the memory; of the last lot. */
let delta = 0

/** Copies the next records as far as they fit. Returns how many; 0 when not even one does. */
function takeLot(
  memory: ScannerMemory,
  bytes: Uint8Array,
  starts: Int32Array,
  ends: Int32Array,
  rows: Int32Array | null,
  from: number,
  count: number,
): number {
  const { words } = memory
  const until = Math.min(count, from + SCAN_ROWS_MAX)
  let low = 0x7fffffff
  let high = -1
  let lot = 0
  for (let i = from; i < until; i++) {
    const row = rows === null ? i : (rows[i] as number)
    const start = starts[row] as number
    const end = ends[row] as number
    if (start >= 0) {
      const lowNow = start < low ? start : low
      const highNow = end > high ? end : high
      if (highNow - lowNow > SCAN_TEXT_BYTES_MAX) break
      low = lowNow
      high = highNow
    }
    words[(STARTS_AT >> 2) + lot] = start
    words[(ENDS_AT >> 2) + lot] = end
    lot++
  }
  if (high > 0) memory.bytes.set(bytes.subarray(low, high), TEXT_AT)
  delta = TEXT_AT - low
  return lot
}

function copyOut(
  memory: ScannerMemory,
  into: DecodedColumns,
  bytes: Uint8Array,
  view: DataView,
  rows: Int32Array | null,
  from: number,
  count: number,
): void {
  const { slots } = into
  if (rows === null) into.status.fill(ROW_OK, from, from + count)
  else for (let i = from; i < from + count; i++) into.status[rows[i] as number] = ROW_OK
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index] as FieldSlot
    if (!slot.isRead) continue
    const at = slotAt(index)
    if (slot.field.nullable) {
      if (rows === null) slot.validity.fill(1, from, from + count)
      else for (let i = from; i < from + count; i++) slot.validity[rows[i] as number] = 1
    }
    switch (slot.kind) {
      case 'i64':
      case 'time':
      case 'f64':
      case 'bigint':
        copyWords(memory.floats, at >> 3, slot.f64, rows, from, count)
        break
      case 'i32':
        copyWords(memory.words, at >> 2, slot.i32, rows, from, count)
        break
      case 'bool':
        copyWords(memory.bytes, at, slot.u8, rows, from, count)
        break
      case 'string':
        copyWords(memory.words, at >> 2, slot.starts, rows, from, count)
        copyWords(memory.words, (at >> 2) + SCAN_ROWS_MAX, slot.ends, rows, from, count)
        if (slot.interner !== null) intern(slot, bytes, view, rows, from, count)
        break
      default:
    }
  }
}

function copyWords<T extends Float64Array | Int32Array | Uint8Array>(
  source: T,
  at: number,
  target: T,
  rows: Int32Array | null,
  from: number,
  count: number,
): void {
  if (rows === null) target.set(source.subarray(at, at + count), from)
  else for (let i = 0; i < count; i++) target[rows[from + i] as number] = source[at + i] as number
}

/** Ids of the texts that the scanner has stored; the others have a start of -1. */
function intern(slot: FieldSlot, bytes: Uint8Array, view: DataView, rows: Int32Array | null, from: number, count: number): void {
  const { interner, starts, ends, ids } = slot
  if (interner === null) return
  for (let i = from; i < from + count; i++) {
    const row = rows === null ? i : (rows[i] as number)
    const start = starts[row] as number
    if (start >= 0) ids[row] = interner.intern(bytes, view, start, ends[row] as number)
  }
}

/** Records that were given up, and values that were left over; a record that has such a value refused is read anew as a whole. */
function finishRows(
  memory: ScannerMemory,
  general: GeneralScanner,
  into: DecodedColumns,
  starts: Int32Array,
  ends: Int32Array,
  rows: Int32Array | null,
  from: number,
): void {
  const { words } = memory
  const missCount = words[MISS_COUNT_AT >> 2] as number
  for (let i = 0; i < missCount; i++) {
    const place = from + (words[(MISSES_AT >> 2) + i] as number)
    const row = rows === null ? place : (rows[place] as number)
    general.row(row, starts[row] as number, ends[row] as number)
  }
  const leftCount = words[LEFT_COUNT_AT >> 2] as number
  let refused = -1
  for (let i = 0; i < leftCount; i++) {
    const code = words[(LEFT_AT >> 2) + i * 2] as number
    const at = words[(LEFT_AT >> 2) + i * 2 + 1] as number
    const place = from + ((code / SCAN_SLOTS_MAX) | 0)
    const row = rows === null ? place : (rows[place] as number)
    if (row === refused) continue
    const slot = into.slots[code & (SCAN_SLOTS_MAX - 1)] as FieldSlot
    if (at < 0) slot.setNull(row)
    else if (general.store(slot, row, at, ends[row] as number) === FAIL) {
      refused = row
      general.row(row, starts[row] as number, ends[row] as number)
    }
  }
}
