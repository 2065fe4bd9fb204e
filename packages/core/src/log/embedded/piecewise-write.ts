// Writes to segments in system calls that stay inside one aligned 64 KiB of the file.
//
// The kernel makes the pages of a file as large as the write that first touches them, and every later piece inside a large page walks all
// its blocks: 8 MiB written as one vectored write of 127 pieces took 19.6 ms, the same in 64 KiB calls 2 ms (measured, ADR 0003).
import type { DiskFile } from '../../base/disk.ts'
import { PREFILL_BYTES } from './format.ts'

/** Writes the pieces one behind the other from `position`. */
export function writePiecewise(file: DiskFile, pieces: readonly Uint8Array[], position: number): void {
  let at = position
  let room = PREFILL_BYTES - (at % PREFILL_BYTES)
  let group: Uint8Array[] = []
  let groupBytes = 0
  const flush = (): void => {
    if (group.length === 1) file.write(group[0] as Uint8Array, at)
    else if (group.length > 1) file.writeAll(group, at)
    at += groupBytes
    group = []
    groupBytes = 0
    room = PREFILL_BYTES
  }
  for (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const length = Math.min(room - groupBytes, piece.length - from)
      group.push(from === 0 && length === piece.length ? piece : piece.subarray(from, from + length))
      groupBytes += length
      from += length
      if (groupBytes === room) flush()
    }
  }
  flush()
}
