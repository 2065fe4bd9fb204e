// Reads records of a topic for people: a page of them, or a stream that follows the topic's end.
import { type FetchPosition, type Log, type LogReader, MillraceError, RecordRows } from '@millrace/core/engine'
import type { TailRecord } from '../../api.ts'
import { queryInvalid } from '../http/call.ts'
import { timeOrAgeMs } from '../times.ts'

const PAGE_BYTES_MAX = 4 << 20
/** A value that is nested deeper is shown as its bytes: writing it out again would overflow the stack. */
const SHOWN_DEPTH_MAX = 512
const decoder = new TextDecoder('utf-8', { fatal: true })
const KEY_DECODER = new TextDecoder()

export interface TailRequest {
  readonly topic: string
  /** Null: all partitions. */
  readonly partition: number | null
  /** earliest, latest, newest (the last `limit` records), an offset, or a time. */
  readonly from: string
  readonly limit: number
}

/** Where reading starts, per partition. Throws MR_HTTP_QUERY_INVALID, MR_PARTITION_UNKNOWN. */
export async function startPositions(log: Log, request: TailRequest, nowMs: number): Promise<FetchPosition[]> {
  const { topic, partition, from, limit } = request
  const all = log.ends(topic)
  const ends = partition === null ? all : all.filter((one) => one.partition === partition)
  if (ends.length === 0)
    throw new MillraceError('MR_PARTITION_UNKNOWN', { details: { topic, partition: partition ?? 0, partitions: all.length } })
  const timeMs = timeOrAgeMs(from, nowMs)
  const positions: FetchPosition[] = []
  for (const end of ends) {
    let offset: number
    if (from === 'earliest') offset = end.start
    else if (from === 'latest') offset = end.end
    else if (from === 'newest') offset = Math.max(end.start, end.end - limit)
    else if (/^\d+$/.test(from)) offset = Math.max(end.start, Number(from))
    else if (timeMs !== null) offset = await log.offsetForTime(topic, end.partition, timeMs, 'event')
    else throw queryInvalid('from', from, '`earliest`, `latest`, `newest`, an offset, an ISO-8601 time or an age such as `-10m`')
    positions.push({ topic, partition: end.partition, offset })
  }
  return positions
}

/** Reads on from positions, which it moves. One per request or stream. */
export class Tail {
  readonly #reader: LogReader
  readonly #rows = new RecordRows()
  #positions: FetchPosition[]
  /** Bytes of the newest fetch. */
  bytes = 0

  constructor(log: Log, positions: readonly FetchPosition[]) {
    this.#reader = log.reader()
    this.#positions = [...positions]
  }

  get positions(): readonly FetchPosition[] {
    return this.#positions
  }

  /** Up to `limit` records from all partitions, oldest first within each; waits up to `waitMs` while there is none. */
  async next(limit: number, waitMs: number): Promise<readonly TailRecord[]> {
    const fetched = await this.#reader.fetch(this.#positions, { bytesMax: PAGE_BYTES_MAX, waitMs })
    const records: TailRecord[] = []
    const moved: FetchPosition[] = []
    this.bytes = 0
    for (const part of fetched) {
      this.bytes += part.bytes.length
      if (part.error !== null) throw part.error
      const count = this.#rows.read(part.bytes, part.from)
      const taken = Math.min(count, Math.max(0, limit - records.length))
      for (let row = 0; row < taken; row++) records.push(recordOf(this.#rows, row, part.partition))
      const offset = taken === count ? part.next : (this.#rows.offsets[taken] as number)
      moved.push({ topic: part.topic, partition: part.partition, offset })
    }
    // The partition that was read first is read last the next time, so that a busy one does not starve the others.
    this.#positions = moved.length > 1 ? [...moved.slice(1), ...moved.slice(0, 1)] : moved
    return records
  }

  close(): void {
    this.#reader.close()
  }
}

function recordOf(rows: RecordRows, row: number, partition: number): TailRecord {
  const { bytes } = rows
  const keyStart = rows.keyStarts[row] as number
  const start = rows.valueStarts[row] as number
  const value = start < 0 ? { value: null, bytes: null } : valueOf(bytes.subarray(start, rows.valueEnds[row]))
  return {
    partition,
    offset: rows.offsets[row] as number,
    timeMs: rows.times[row] as number,
    key: keyStart < 0 ? null : KEY_DECODER.decode(bytes.subarray(keyStart, rows.keyEnds[row])),
    ...value,
  }
}

function valueOf(bytes: Uint8Array): { readonly value: unknown; readonly bytes: string | null } {
  try {
    if (depthOf(bytes) <= SHOWN_DEPTH_MAX) return { value: JSON.parse(decoder.decode(bytes)) as unknown, bytes: null }
  } catch {
    // Not JSON, or not text: shown as its bytes.
  }
  return { value: null, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') }
}

/** How deep a JSON document is nested; of anything else, some number. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0
  let deepest = 0
  let inText = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte === 34) inText = !inText
    else if (inText) at += byte === 92 ? 1 : 0
    else if (byte === 91 || byte === 123) deepest = Math.max(deepest, ++depth)
    else if (byte === 93 || byte === 125) depth--
  }
  return deepest
}
