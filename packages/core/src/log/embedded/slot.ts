// The two checkpoint slots. Each holds a whole image of the log's state and where the journal goes on from it; they are written in turn.
//
//   magic "MRCKPT1\n" 8 bytes | generation u64 | body length u32 | CRC-32C of generation, length and body, u32 | body: JSON in UTF-8
//
// The generation counts writes of slots and nothing else. It must not be replaced by the journal's sequence, which recovery leaves as it
// was: where one slot only began a run, picking by that lost acknowledged commits in 8 % of simulated runs.
import type { Disk, DiskFile } from '../../base/disk.ts'
import { readFully } from '../../base/disk.ts'
import { crc32c } from '../../base/crc32c.ts'
import { checkpointPath } from './format.ts'
import type { Half } from './half.ts'
import type { StateImage } from './state.ts'

/** "MRCKPT1\n" in the file. */
const MAGIC_HIGH = 0x4d52434b
const MAGIC_LOW = 0x5054310a
export const SLOT_HEADER_BYTES = 24
const SLOT_BODY_BYTES_MAX = 1 << 30

/** The body of a slot. */
export interface SlotImage extends StateImage {
  /** Sizes of the halves' files in bytes: neither is ever shorter. Absent in slots of earlier versions. */
  readonly halves?: readonly [number, number]
}

export interface Slot {
  readonly slot: number
  readonly generation: number
  readonly image: SlotImage
}

/** What is in a slot: a valid image, nothing yet, or damaged bytes. */
export type SlotContent =
  { readonly kind: 'valid'; readonly value: Slot } | { readonly kind: 'empty' } | { readonly kind: 'damaged'; readonly path: string }

function crcOf(bytes: Uint8Array): number {
  return crc32c(bytes, SLOT_HEADER_BYTES, bytes.length, crc32c(bytes, 8, 20))
}

/** The bytes of a slot. */
export function encodeSlot(generation: number, image: SlotImage): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(image))
  const bytes = new Uint8Array(SLOT_HEADER_BYTES + body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC_HIGH)
  view.setUint32(4, MAGIC_LOW)
  view.setUint32(8, generation >>> 0, true)
  view.setUint32(12, Math.floor(generation / 4294967296), true)
  view.setUint32(16, body.length, true)
  bytes.set(body, SLOT_HEADER_BYTES)
  view.setUint32(20, crcOf(bytes), true)
  return bytes
}

/** Reads one slot. */
export function readSlot(disk: Disk, folder: string, slot: number): SlotContent {
  const path = checkpointPath(folder, slot)
  if (!disk.exists(path)) return { kind: 'empty' }
  const file = disk.open(path, 'read')
  try {
    const header = new Uint8Array(SLOT_HEADER_BYTES)
    if (!readFully(file, header, 0)) return { kind: 'empty' }
    const view = new DataView(header.buffer)
    const length = view.getUint32(16, true)
    if (header.every((byte) => byte === 0)) return { kind: 'empty' }
    const hasMagic = view.getUint32(0) === MAGIC_HIGH && view.getUint32(4) === MAGIC_LOW
    if (!hasMagic || length > Math.min(SLOT_BODY_BYTES_MAX, file.size())) return { kind: 'damaged', path }
    const bytes = new Uint8Array(SLOT_HEADER_BYTES + length)
    if (!readFully(file, bytes, 0) || crcOf(bytes) !== view.getUint32(20, true)) return { kind: 'damaged', path }
    const generation = view.getUint32(8, true) + view.getUint32(12, true) * 4294967296
    const image = JSON.parse(new TextDecoder().decode(bytes.subarray(SLOT_HEADER_BYTES))) as SlotImage
    return { kind: 'valid', value: { slot, generation, image } }
  } finally {
    file.close()
  }
}

/** How recovery picks between two valid slots. Another order exists only as a mutant in the tests. */
export type SlotOrder = (one: Slot, two: Slot) => Slot
export const newestSlot: SlotOrder = (one, two) => (one.generation > two.generation ? one : two)

/** Writes slots in turn, never over the newest. */
export class SlotWriter {
  readonly #files: readonly [DiskFile, DiskFile]
  readonly #halves: readonly [Half, Half]
  #next: number
  #generation: number
  #newest: StateImage | null

  constructor(disk: Disk, folder: string, newest: Slot | null, halves: readonly [Half, Half]) {
    this.#files = [disk.open(checkpointPath(folder, 0), 'create'), disk.open(checkpointPath(folder, 1), 'create')]
    this.#next = newest === null ? 0 : 1 - newest.slot
    this.#generation = (newest?.generation ?? 0) + 1
    this.#newest = newest?.image ?? null
    this.#halves = halves
  }

  /** Writes and syncs: when it returns, recovery starts from this image. */
  write(image: StateImage): void {
    const file = this.#next === 0 ? this.#files[0] : this.#files[1]
    const [one, two] = this.#halves
    file.write(encodeSlot(this.#generation, { ...image, halves: [one.fileBytes, two.fileBytes] }), 0)
    file.sync()
    this.#next = 1 - this.#next
    this.#generation++
    this.#newest = image
  }

  /** The newest image once more, with the sizes that the halves have now. */
  writeSizes(): void {
    if (this.#newest !== null) this.write(this.#newest)
  }

  close(): void {
    for (const file of this.#files) file.close()
  }
}
