// Reads request bodies, gzip and zstd ones too, within limits: what a body may grow to is bounded before it grows.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, type ZlibOptions, zstdDecompress } from 'node:zlib'
import { isMillraceError, MillraceError } from '@millrace/core/engine'
import { zstdFrames } from './zstd-frames.ts'

/** Bodies below this size are not counted: their number is bounded by the connections. */
const COUNTED_BYTES_MIN = 65_536
/** Smaller bodies are not worth giving back by hand. */
const RELEASED_BYTES_MIN = 4_096
/** Bodies that are decompressed at one moment: what one grows to is counted only when it is there. */
const INFLATING_MAX = 2

export interface BodyLimits {
  /** Largest body, before and after decompression, bytes. */
  readonly bodyBytesMax: number
  readonly budget: BodyBudget
}

/** Memory of the larger bodies that are being read or worked on. */
export class BodyBudget {
  readonly #bytesMax: number
  #bytes = 0
  #inflating = 0
  readonly #waiting: (() => void)[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Throws MR_HTTP_BUSY when there is no room; a single body always has. */
  take(bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) {
      throw new MillraceError('MR_HTTP_BUSY', { details: { bytes: this.#bytes, bytesMax: this.#bytesMax } })
    }
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }

  /** Runs `work` when few enough others are under way. */
  async inflate<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inflating >= INFLATING_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#inflating++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#inflating--
      else next()
    }
  }
}

const unzstdLater = promisify(zstdDecompress)
const NOTHING = Buffer.alloc(0)

/** @throws {MillraceError} `MR_HTTP_BODY_TOO_LARGE`, `MR_HTTP_BODY_INVALID`, `MR_CODEC_UNSUPPORTED`. */
export async function readBody(request: IncomingMessage, response: ServerResponse, { bodyBytesMax, budget }: BodyLimits): Promise<Buffer> {
  requireChunked(request.headers['transfer-encoding'])
  const encoding = request.headers['content-encoding']?.trim().toLowerCase()
  let taken = 0
  const giveBack = (): void => {
    budget.give(taken)
    taken = 0
  }
  const take = (bytes: number): void => {
    // Nobody would give back what is taken for an answer that is over.
    if (response.closed || response.destroyed) throw new MillraceError('MR_HTTP_BODY_INVALID', { message: 'the connection has ended.' })
    if (taken === 0) response.once('close', giveBack)
    budget.take(bytes)
    taken += bytes
  }
  const raw = await readRaw(request, bodyBytesMax, take)
  if (encoding === undefined || encoding === 'identity') return raw
  return budget.inflate(async () => {
    const body = await decompress(raw, encoding, bodyBytesMax)
    if (body.length >= COUNTED_BYTES_MIN) take(body.length)
    return body
  })
}

/** Node undoes the chunks of a body and leaves what else a transfer coding did to it: its bytes would be taken for events. */
function requireChunked(coding: string | undefined): void {
  if (coding === undefined || /^chunked$/i.test(coding.trim())) return
  throw new MillraceError('MR_CODEC_UNSUPPORTED', {
    message: `the transfer coding \`${coding.slice(0, 40)}\` is not supported.`,
    fix: 'Send the body as it is or in chunks; compress it with `Content-Encoding: gzip` or `zstd`.',
  })
}

/**
 * Gives the memory of a body back at once; its bytes cannot be read any more. V8 counts such memory against its heap until a collection
 * finds it: bodies of 20 KiB at full load had it mark the whole heap ten times a second, which was a quarter of the CPU of taking them in.
 */
export function releaseBody({ buffer, byteLength }: Buffer): void {
  // What shares its memory with others is left alone.
  if (byteLength < RELEASED_BYTES_MIN || buffer.byteLength !== byteLength || !(buffer instanceof ArrayBuffer)) return
  buffer.transfer(0)
}

function readRaw(request: IncomingMessage, bytesMax: number, take: (bytes: number) => void): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > bytesMax) {
    // The rest is read and thrown away, so that the client sees the answer and not a reset.
    request.resume()
    return Promise.reject(tooLarge(announced, bytesMax))
  }
  return new Promise((resolve, reject) => {
    let first: Buffer | null = null
    let more: Buffer[] | null = null
    let size = 0
    let counted = 0
    let isRefused = false
    const refuse = (error: unknown): void => {
      isRefused = true
      more = []
      first = NOTHING
      reject(error)
    }
    request.on('data', (chunk: Buffer) => {
      // The rest of a refused body is read and thrown away: it is neither kept nor counted.
      if (isRefused) return
      size += chunk.length
      if (size > bytesMax) return refuse(tooLarge(size, bytesMax))
      if (size - counted >= COUNTED_BYTES_MIN) {
        try {
          take(size - counted)
          counted = size
        } catch (error) {
          return refuse(error)
        }
      }
      if (first === null) first = chunk
      else if (more === null) more = [first, chunk]
      else more.push(chunk)
    })
    request.on('end', () => resolve(more === null ? (first ?? NOTHING) : joined(more, size)))
    request.on('error', (error) =>
      reject(new MillraceError('MR_HTTP_BODY_INVALID', { message: 'the connection ended inside the body.', cause: error })),
    )
  })
}

function joined(chunks: readonly Buffer[], size: number): Buffer {
  const body = Buffer.concat(chunks, size)
  for (const chunk of chunks) releaseBody(chunk)
  return body
}

async function decompress(raw: Buffer, encoding: string, bytesMax: number): Promise<Buffer> {
  const known = encoding === 'gzip' || encoding === 'x-gzip' ? ungzip : encoding === 'zstd' ? unzstd : null
  if (known === null) {
    throw new MillraceError('MR_CODEC_UNSUPPORTED', {
      message: `the content encoding \`${encoding.slice(0, 40)}\` is not supported.`,
      fix: 'Send the body as it is, or compressed with gzip or zstd.',
    })
  }
  try {
    return await known(raw, bytesMax)
  } catch (error) {
    if (isMillraceError(error)) throw error
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(null, bytesMax)
    throw new MillraceError('MR_HTTP_BODY_INVALID', { message: `the body is not valid ${encoding}.`, cause: error })
  }
}

/** All members of the body. Node leaves out what lies behind a zero byte, which may be events. */
function ungzip(raw: Buffer, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // With `info` the result is an object, which the types of Node do not know.
    const options: ZlibOptions = { maxOutputLength: bytesMax, info: true }
    gunzip(raw, options, (error, result) => {
      if (error !== null) return reject(error)
      const { buffer, engine } = result as unknown as { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }
      if (engine.bytesWritten === raw.length) resolve(buffer)
      else reject(new Error(`the body goes on behind its last member, at byte ${engine.bytesWritten}`))
    })
  })
}

async function unzstd(raw: Buffer, bytesMax: number): Promise<Buffer> {
  const frames = zstdFrames(raw)
  if (frames === null) throw new Error('the body does not end where a frame ends')
  const parts: Buffer[] = []
  let size = 0
  for (const frame of frames) {
    const part = await unzstdLater(frame, { maxOutputLength: Math.max(1, bytesMax - size) })
    size += part.length
    if (size > bytesMax) throw tooLarge(null, bytesMax)
    parts.push(part)
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, size)
}

function tooLarge(bytes: number | null, bytesMax: number): MillraceError {
  return new MillraceError('MR_HTTP_BODY_TOO_LARGE', {
    message: bytes === null ? 'the decompressed body is larger than the limit.' : 'the body is larger than the limit.',
    details: { ...(bytes === null ? {} : { bytes }), bodyBytesMax: bytesMax },
  })
}
