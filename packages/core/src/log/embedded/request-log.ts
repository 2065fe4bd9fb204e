// Request keys, durable: each entry's keys are one batch of a partition of their own (key = request key, value = first offsets as f64
// little-endian), so they share journal, segments, recovery and retention with everything else. Read back at the first request that has a key.
import { MillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import type { RecordRows } from '../../codec/record-rows.ts'
import { Requests, REQUEST_KEY_CHARACTERS_MAX } from '../requests.ts'

const KEY_FRAME_BYTES = 128
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class RequestLog {
  readonly #known = new Requests()
  readonly #builder = new RecordBatchBuilder(4096)
  readonly #nowMs: () => number
  #load: (() => void) | null

  /** `load` reads the kept keys through `remember`; called once, before the first look-up. */
  constructor(nowMs: () => number, load: () => void) {
    this.#nowMs = nowMs
    this.#load = load
  }

  /** Keys in memory, and those that had to be forgotten before their time to make room. */
  get figures(): { readonly requestKeys: number; readonly requestKeysForgotten: number } {
    return { requestKeys: this.#known.size, requestKeysForgotten: this.#known.forgottenEarly }
  }

  /** Bytes that the keys of the open entry will take. */
  get pendingBytes(): number {
    return this.#builder.count === 0 ? 0 : this.#builder.bytes
  }

  /** Most bytes that one more key takes, the frame of a first one included. Throws MR_LOG_BATCH_INVALID for a key that is empty or too long. */
  bytesOf(key: string, parts: number): number {
    if (key.length === 0 || key.length > REQUEST_KEY_CHARACTERS_MAX) {
      throw new MillraceError('MR_LOG_BATCH_INVALID', {
        message: 'a request key has 1 to 512 characters',
        details: { characters: key.length },
      })
    }
    return KEY_FRAME_BYTES + key.length * 3 + parts * 8
  }

  /** First offsets of the request with this key, or null. */
  find(key: string): readonly number[] | null {
    if (this.#load !== null) {
      const load = this.#load
      this.#load = null
      load()
    }
    return this.#known.find(key, this.#nowMs())
  }

  add(key: string, firstOffsets: readonly number[], timeMs: number): void {
    const value = new Uint8Array(firstOffsets.length * 8)
    const view = new DataView(value.buffer)
    for (const [index, offset] of firstOffsets.entries()) view.setFloat64(index * 8, offset, true)
    this.#builder.append(encoder.encode(key), value, timeMs)
    this.#known.add(key, firstOffsets, timeMs)
  }

  /** The batch with the keys of the open entry, valid until the next key; null when there are none. */
  takeBatch(): Uint8Array | null {
    if (this.#builder.count === 0) return null
    const bytes = this.#builder.finish()
    this.#builder.reset()
    return bytes
  }

  /** Takes keys that were read back. */
  remember(rows: RecordRows): void {
    const view = new DataView(rows.bytes.buffer, rows.bytes.byteOffset, rows.bytes.byteLength)
    for (let row = 0; row < rows.count; row++) {
      const offsets: number[] = []
      for (let at = rows.valueStarts[row] as number; at < (rows.valueEnds[row] as number); at += 8) offsets.push(view.getFloat64(at, true))
      this.#known.add(decoder.decode(rows.bytes.subarray(rows.keyStarts[row], rows.keyEnds[row])), offsets, rows.times[row] as number)
    }
  }
}
