// Writes around the system's memory of files (O_DIRECT), for bytes that nobody is expected to read soon.
//
// Such a write takes no page of that memory: writing 64 KiB behind the end of a file cost 4-7 us of CPU this way, 24 us in pages that the
// machine had at hand, and 140-180 us in pages that a virtual machine first had to ask its host for (measured one after the other,
// ADR 0003). The device wants whole blocks out of memory that starts at one, so the bytes are gathered in a buffer of this module; what
// does not fill a block at both ends goes the usual way. The system keeps both ways coherent, and fdatasync of the file covers both.
import fs from 'node:fs'

/** Largest block that a device asks for. */
const BLOCK_BYTES = 4_096
const WASM_PAGE_BYTES = 65_536
/** Larger writes gained nothing. */
const BUFFER_BYTES = 1 << 20
/** Below it the detour costs more than it saves. */
const AROUND_BYTES_MIN = 65_536

/** What is used of the global `WebAssembly`; its types come with the DOM library, which the core does not load. */
interface WebAssemblyPart {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
}

const REFUSALS: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOENT', 'EACCES'])
/** Too many files are open, or somebody forbids it for a while: the usual way needs no further handle. */
const NOT_NOW: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EPERM'])

/** O_DIRECT, or null where the system has no such thing. */
const DIRECT: number | null = fs.constants.O_DIRECT ?? null

/** Buffers in use and free at the same moment: as many as the threads of the pool that a process has by default. */
const BUFFERS_MAX = 4

/** Buffers that start at a block, which the memory of an ArrayBuffer does not; made when they are needed. */
const buffers: { readonly free: Uint8Array[]; made: number; readonly waiting: ((buffer: Uint8Array) => void)[] } = {
  free: [],
  made: 0,
  waiting: [],
}

/** The one for what is written in the foreground. */
let ownBuffer: Uint8Array | null = null

/** True when this many bytes are worth going around. */
export function worthAround(bytes: number): boolean {
  return DIRECT !== null && bytes >= AROUND_BYTES_MIN
}

/**
 * The same file once more, for writes around the memory of files; 'refused' where the system has no such thing, 'not now' where it may have
 * it another time.
 */
export function openAround(handle: number): number | 'refused' | 'not now' {
  if (DIRECT === null) return 'refused'
  try {
    // By its descriptor: its name may have changed meanwhile.
    return fs.openSync(`/proc/self/fd/${handle}`, fs.constants.O_WRONLY | DIRECT)
  } catch (error) {
    if (isRefusal(error)) return 'refused'
    if (NOT_NOW.has(codeOf(error))) return 'not now'
    throw error
  }
}

/**
 * Writes the pieces one behind the other from `position`, in the background but for the blocks at both ends; the pieces must stay as they
 * are meanwhile. False when the file system refuses such writes: then nothing says how much was written, and the caller writes everything
 * the usual way.
 */
export async function writeAround(handle: number, direct: number, sources: readonly Uint8Array[], position: number): Promise<boolean> {
  const buffer = await takeBuffer()
  if (buffer === null) return false
  try {
    for (const part of gather(buffer, sources, position)) await writeOut(buffer, part, handle, direct)
    return true
  } catch (error) {
    if (isRefusal(error)) return false
    throw error
  } finally {
    giveBuffer(buffer)
  }
}

/** As `writeAround`, in the foreground. */
export function writeAroundNow(handle: number, direct: number, sources: readonly Uint8Array[], position: number): boolean {
  ownBuffer ??= makeBuffer()
  if (ownBuffer === null) return false
  try {
    for (const part of gather(ownBuffer, sources, position)) writeOutNow(ownBuffer, part, handle, direct)
    return true
  } catch (error) {
    if (isRefusal(error)) return false
    throw error
  }
}

/**
 * Writes the blocks of image[start .. end) to their places, now. False when the file system refuses such writes, or the last block is not
 * whole: then nothing says how much was written.
 */
export function writeBlocks(direct: number, image: Uint8Array, start: number, end: number): boolean {
  const to = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
  ownBuffer ??= makeBuffer()
  if (ownBuffer === null || to > image.length) return false
  try {
    for (let at = start - (start % BLOCK_BYTES); at < to; at += ownBuffer.length) {
      const length = Math.min(ownBuffer.length, to - at)
      ownBuffer.set(image.subarray(at, at + length))
      writeFully(direct, ownBuffer, 0, length, at)
    }
    return true
  } catch (error) {
    if (isRefusal(error)) return false
    throw error
  }
}

async function takeBuffer(): Promise<Uint8Array | null> {
  const free = buffers.free.pop()
  if (free !== undefined) return free
  if (buffers.made === BUFFERS_MAX) return new Promise((resolve) => buffers.waiting.push(resolve))
  const buffer = makeBuffer()
  if (buffer !== null) buffers.made++
  return buffer
}

/** Memory of WebAssembly starts at a page of the system. Null where there is none (`--jitless`). */
function makeBuffer(): Uint8Array | null {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly?: WebAssemblyPart }
  return WebAssembly === undefined ? null : new Uint8Array(new WebAssembly.Memory({ initial: BUFFER_BYTES / WASM_PAGE_BYTES }).buffer)
}

function giveBuffer(buffer: Uint8Array): void {
  const next = buffers.waiting.shift()
  if (next === undefined) buffers.free.push(buffer)
  else next(buffer)
}

/** Part of a write: the buffer's bytes from `start` to `end` belong at `base + start` of the file; `base` is a multiple of the block. */
interface Gathered {
  readonly start: number
  readonly end: number
  readonly base: number
}

/** Fills the buffer again and again. */
function* gather(into: Uint8Array, sources: readonly Uint8Array[], position: number): Generator<Gathered, void, undefined> {
  let base = position - (position % BLOCK_BYTES)
  let start = position - base
  let end = start
  for (const source of sources) {
    for (let from = 0; from < source.length;) {
      const length = Math.min(source.length - from, into.length - end)
      into.set(from === 0 && length === source.length ? source : source.subarray(from, from + length), end)
      from += length
      end += length
      if (end < into.length) continue
      yield { start, end, base }
      base += end
      start = end = 0
    }
  }
  yield { start, end, base }
}

/** The whole blocks in the middle. */
function blocksOf({ start, end }: Gathered): { readonly from: number; readonly to: number } {
  const from = Math.min(end, Math.ceil(start / BLOCK_BYTES) * BLOCK_BYTES)
  return { from, to: Math.max(from, end - (end % BLOCK_BYTES)) }
}

async function writeOut(bytes: Uint8Array, part: Gathered, handle: number, direct: number): Promise<void> {
  const { from, to } = blocksOf(part)
  writeFully(handle, bytes, part.start, from, part.base)
  for (let at = from; at < to;) at += await writeSome(direct, bytes, at, to - at, part.base + at)
  // Last, so that the file grows in the order of its bytes.
  writeFully(handle, bytes, to, part.end, part.base)
}

function writeOutNow(bytes: Uint8Array, part: Gathered, handle: number, direct: number): void {
  const { from, to } = blocksOf(part)
  writeFully(handle, bytes, part.start, from, part.base)
  writeFully(direct, bytes, from, to, part.base)
  writeFully(handle, bytes, to, part.end, part.base)
}

function writeSome(handle: number, bytes: Uint8Array, at: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(handle, bytes, at, length, position, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}

function writeFully(handle: number, bytes: Uint8Array, start: number, end: number, base: number): void {
  for (let at = start; at < end;) at += fs.writeSync(handle, bytes, at, end - at, base + at)
}

/** No such call on this file system, other blocks than ours, or no /proc. */
function isRefusal(error: unknown): boolean {
  return REFUSALS.has(codeOf(error))
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}
