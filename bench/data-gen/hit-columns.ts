// The data set of the Parquet figures: web hits in 9 columns, as the engine holds them, from a seed.
// ts (ms, nearly sorted), user (10,000 distinct), url (1,000), ua (4) as dictionary columns; ip and rid practically unique as bytes;
// status, bytes, seq as i32.
import { seededRandom } from '@millrace/core/connect'
import type { Batch, BytesColumn, Column, Field } from '@millrace/core/connect'

export const HIT_FIELDS: readonly Field[] = [
  { name: 'ts', type: { kind: 'time' }, nullable: false },
  { name: 'user', type: { kind: 'string' }, nullable: false },
  { name: 'url', type: { kind: 'string' }, nullable: false },
  { name: 'ua', type: { kind: 'string' }, nullable: false },
  { name: 'ip', type: { kind: 'string' }, nullable: false },
  { name: 'rid', type: { kind: 'string' }, nullable: false },
  { name: 'status', type: { kind: 'i32' }, nullable: false },
  { name: 'bytes', type: { kind: 'i32' }, nullable: false },
  { name: 'seq', type: { kind: 'i32' }, nullable: false },
]

/** Lays strings end to end. */
export function bytesColumn(values: readonly string[]): BytesColumn {
  const encoder = new TextEncoder()
  const data = encoder.encode(values.join(''))
  const offsets = new Int32Array(values.length + 1)
  values.forEach((value, index) => {
    offsets[index + 1] = (offsets[index] as number) + encoder.encode(value).length
  })
  return { layout: 'bytes', offsets, data, validity: null }
}

const HEX = new TextEncoder().encode('0123456789abcdef')
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)',
  'curl/8.15.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64)',
]
const STATUSES = [200, 200, 200, 200, 200, 200, 304, 404, 301, 500]

export interface HitColumns {
  readonly rowCount: number
  readonly ts: Float64Array
  readonly ids: { readonly user: Int32Array; readonly url: Int32Array; readonly ua: Int32Array }
  readonly dictionaries: { readonly user: BytesColumn; readonly url: BytesColumn; readonly ua: BytesColumn }
  readonly ip: BytesColumn
  readonly rid: BytesColumn
  readonly status: Int32Array
  readonly bytes: Int32Array
  readonly seq: Int32Array
}

/** Makes the data set; the same seed gives the same rows. */
export function makeHitColumns(rowCount: number, seed: number): HitColumns {
  const random = seededRandom(seed)
  const ids = { user: new Int32Array(rowCount), url: new Int32Array(rowCount), ua: new Int32Array(rowCount) }
  const ts = new Float64Array(rowCount)
  const status = new Int32Array(rowCount)
  const size = new Int32Array(rowCount)
  const seq = new Int32Array(rowCount)
  const ipData = new Uint8Array(rowCount * 15)
  const ipOffsets = new Int32Array(rowCount + 1)
  const ridData = new Uint8Array(rowCount * 16)
  const ridOffsets = new Int32Array(rowCount + 1)
  const encoder = new TextEncoder()
  let ipAt = 0
  let now = 1_700_000_000_000
  for (let i = 0; i < rowCount; i++) {
    now += random.below(5)
    ts[i] = now - random.below(200)
    ids.user[i] = random.below(10_000)
    ids.url[i] = Math.floor(random.fraction() ** 2 * 1000)
    ids.ua[i] = random.below(4)
    status[i] = STATUSES[random.below(10)] as number
    size[i] = 100 + random.below(50_000)
    seq[i] = i
    const bits = random.below(0x100000000)
    ipAt += encoder.encodeInto(`${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`, ipData.subarray(ipAt)).written
    ipOffsets[i + 1] = ipAt
    let hex = 0
    for (let digit = 0; digit < 16; digit++) {
      if (digit % 8 === 0) hex = random.below(0x100000000)
      ridData[i * 16 + digit] = HEX[(hex >>> ((digit % 8) * 4)) & 15] as number
    }
    ridOffsets[i + 1] = (i + 1) * 16
  }
  const dictionaries = {
    user: bytesColumn(Array.from({ length: 10_000 }, (_, index) => `user-${(index * 7919) % 10_000}`)),
    url: bytesColumn(Array.from({ length: 1000 }, (_, index) => `https://shop.example/products/${(index * 617) % 1000}/details`)),
    ua: bytesColumn(AGENTS),
  }
  return {
    rowCount,
    ts,
    ids,
    dictionaries,
    ip: { layout: 'bytes', offsets: ipOffsets, data: ipData.subarray(0, ipAt), validity: null },
    rid: { layout: 'bytes', offsets: ridOffsets, data: ridData, validity: null },
    status,
    bytes: size,
    seq,
  }
}

/** The rows from..to as a batch of views. */
export function hitsBatch(hits: HitColumns, from: number, to: number): Batch {
  const dictionary = (ids: Int32Array, values: BytesColumn): Column => ({
    layout: 'dictionary',
    ids: ids.subarray(from, to),
    dictionary: values,
    dictionaryCount: values.offsets.length - 1,
    validity: null,
  })
  const bytes = (column: BytesColumn): Column => ({ ...column, offsets: column.offsets.subarray(from, to + 1) })
  const ints = (values: Int32Array): Column => ({ layout: 'i32', values: values.subarray(from, to), validity: null })
  const ts = hits.ts.subarray(from, to)
  return {
    rowCount: to - from,
    columns: [
      { layout: 'f64', values: ts, validity: null },
      dictionary(hits.ids.user, hits.dictionaries.user),
      dictionary(hits.ids.url, hits.dictionaries.url),
      dictionary(hits.ids.ua, hits.dictionaries.ua),
      bytes(hits.ip),
      bytes(hits.rid),
      ints(hits.status),
      ints(hits.bytes),
      ints(hits.seq),
    ],
    values: null,
    times: ts,
    weights: null,
    selected: null,
    selectedCount: 0,
    origin: null,
    originRows: null,
  }
}
