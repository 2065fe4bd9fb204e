import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  batchByteLength,
  readBatchHeader,
  readRecords,
  recordBatch,
  RecordBatchBuilder,
  RecordRows,
  reuseBatch,
  setBaseOffset,
  verifyBatch,
} from './record-batch.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const unhex = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s+/g, ''), 'hex'))
const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code

// Written out by hand from the specification; the CRCs were computed bit by bit.
const ONE_RECORD = `
  0000000000000000 00000039 00000000 02 5f1dbc60 0000 00000000 0000018bcfe56800 0000018bcfe56800
  ffffffffffffffff ffff ffffffff 00000001
  10 00 00 00 02 6b 02 76 00`
const THREE_RECORDS = `
  0000000000000005 00000051 00000000 02 8f2c1fa4 0000 00000002 00000000000003e8 00000000000007d0
  000000000000002a 0003 00000007 00000003
  0e 00 00 00 01 02 61 00
  10 00 d00f 02 02 62 01 00
  1c 00 cf0f 04 00 00 04 02 68 02 31 02 6e 01`

/** Sets the CRC of a batch written by hand, bit by bit and not with the code under test. */
function withCrc(text: string): Uint8Array {
  const bytes = unhex(text)
  let state = 0xffffffff
  for (const byte of bytes.subarray(21)) {
    state ^= byte
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setInt32(8, bytes.length - 12)
  view.setUint32(17, ~state >>> 0)
  return bytes
}

test('a batch of one record has the bytes of the specification', () => {
  const batch = recordBatch([{ key: ascii('k'), value: ascii('v'), timeMs: 1_700_000_000_000 }])
  assert.equal(hex(batch), hex(withCrc(ONE_RECORD)))
})

test('nulls, headers, times that go back, offset and producer fields have the bytes of the specification', () => {
  const batch = recordBatch(
    [
      { key: null, value: ascii('a'), timeMs: 1000 },
      { key: ascii('b'), value: null, timeMs: 2000 },
      {
        key: ascii(''),
        value: ascii(''),
        timeMs: 0,
        headers: [
          { key: 'h', value: ascii('1') },
          { key: 'n', value: null },
        ],
      },
    ],
    { producerId: 42, producerEpoch: 3, baseSequence: 7 },
  )
  setBaseOffset(batch, 0, 5)
  assert.equal(hex(batch), hex(withCrc(THREE_RECORDS)))
  assert.ok(verifyBatch(batch, 0), 'the base offset is not covered by the CRC')
  assert.deepEqual(readBatchHeader(batch, 0), {
    baseOffset: 5,
    byteLength: batch.length,
    recordCount: 3,
    lastOffset: 7,
    baseTimeMs: 1000,
    maxTimeMs: 2000,
    producerId: 42,
    producerEpoch: 3,
    baseSequence: 7,
    crc: new DataView(batch.buffer, batch.byteOffset).getUint32(17),
    attributes: 0,
  })
  assert.deepEqual(readRecords(batch), [
    { offset: 5, timeMs: 1000, key: null, value: ascii('a'), headers: [] },
    { offset: 6, timeMs: 2000, key: ascii('b'), value: null, headers: [] },
    {
      offset: 7,
      timeMs: 0,
      key: ascii(''),
      value: ascii(''),
      headers: [
        { key: 'h', value: ascii('1') },
        { key: 'n', value: null },
      ],
    },
  ])
})

test('rows below the wanted offset are skipped, also inside a batch, and rows of several batches follow each other', () => {
  const one = recordBatch([0, 1, 2].map((n) => ({ key: null, value: ascii(`a${n}`), timeMs: n })))
  const two = recordBatch([0, 1].map((n) => ({ key: null, value: ascii(`b${n}`), timeMs: n })))
  setBaseOffset(one, 0, 10)
  setBaseOffset(two, 0, 20)
  const bytes = Buffer.concat([one, two])
  const values = (from: number) =>
    readRecords(bytes, from).map((record) => `${record.offset}:${Buffer.from(record.value ?? []).toString()}`)
  assert.deepEqual(values(0), ['10:a0', '11:a1', '12:a2', '20:b0', '21:b1'])
  assert.deepEqual(values(12), ['12:a2', '20:b0', '21:b1'])
  assert.deepEqual(values(15), ['20:b0', '21:b1'])
  assert.deepEqual(values(22), [])
  const rows = new RecordRows()
  assert.equal(rows.read(bytes.subarray(0, bytes.length - 1), 0), 3, 'a batch cut off at the end is left out')
})

test('a compacted batch keeps its offsets, append time replaces the times, control batches are skipped', () => {
  const gaps = withCrc(THREE_RECORDS.replace('00000002 00000000000003e8', '00000009 00000000000003e8').replace('cf0f 04 00', 'cf0f 12 00'))
  assert.deepEqual(
    readRecords(gaps).map((record) => record.offset),
    [5, 6, 14],
  )
  assert.equal(readBatchHeader(gaps, 0).lastOffset, 14)
  const appended = withCrc(THREE_RECORDS.replace('8f2c1fa4 0000', '8f2c1fa4 0008'))
  assert.deepEqual(
    readRecords(appended).map((record) => record.timeMs),
    [2000, 2000, 2000],
  )
  assert.deepEqual(readRecords(withCrc(THREE_RECORDS.replace('8f2c1fa4 0000', '8f2c1fa4 0020'))), [])
})

test('a compressed batch is refused by name', () => {
  const zstd = withCrc(ONE_RECORD.replace('5f1dbc60 0000', '5f1dbc60 0004'))
  assert.ok(verifyBatch(zstd, 0))
  assert.throws(
    () => readRecords(zstd),
    (error) => hasCode('MR_CODEC_UNSUPPORTED')(error) && /zstd/.test(String(error)),
  )
})

test('a batch without records, and times that are none, are refused', () => {
  assert.throws(() => new RecordBatchBuilder().finish(), { name: 'AssertionFailure' })
  for (const timeMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, 9e15]) {
    const builder = new RecordBatchBuilder()
    assert.throws(() => builder.append(null, null, timeMs), hasCode('MR_TIME_NEGATIVE'))
    assert.equal(builder.count, 0)
  }
  const empty = unhex(ONE_RECORD).subarray(0, 61)
  new DataView(empty.buffer, empty.byteOffset).setInt32(57, 0)
  assert.throws(() => readBatchHeader(empty, 0), hasCode('MR_CODEC_BATCH_CORRUPT'))
})

test('broken records behind a right CRC are refused by the walk and leave no rows', () => {
  const broken = [
    ONE_RECORD.replace('10 00 00 00 02 6b 02 76 00', '12 00 00 00 02 6b 02 76 00'), // longer than the batch
    ONE_RECORD.replace('10 00 00 00 02 6b 02 76 00', '0e 00 00 00 02 6b 02 76 00'), // shorter than its parts
    ONE_RECORD.replace('02 6b 02 76 00', '20 6b 02 76 00'), // key behind the record
    ONE_RECORD.replace('02 6b 02 76 00', '02 6b 03 76 00'), // value length -2
    ONE_RECORD.replace('02 6b 02 76 00', '02 6b 02 76 08'), // headers that are not there
    ONE_RECORD.replace('10 00 00 00 02', '10 00 00 02 02'), // offset behind the last
    ONE_RECORD.replace('02 76 00', '02 76 00 00'), // a byte left over
    ONE_RECORD.replace('10 00 00 00 02 6b 02 76 00', '10 00 ff ff ff ff ff ff'), // a time that does not end
    THREE_RECORDS.replace('d00f 02 02', 'd00f 00 02'), // the same offset twice
  ]
  for (const text of broken) {
    const batch = withCrc(text)
    assert.ok(verifyBatch(batch, 0))
    const rows = new RecordRows()
    assert.throws(() => rows.read(batch, 0), hasCode('MR_CODEC_BATCH_CORRUPT'), text)
    assert.equal(rows.count, 0)
  }
  const headers = withCrc(THREE_RECORDS.replace('02 6e 01', '04 6e 01'))
  assert.throws(() => readRecords(headers), hasCode('MR_CODEC_BATCH_CORRUPT'))
})

test('the length of a batch: -1 while it is not all there, an error when it is impossible', () => {
  const batch = withCrc(ONE_RECORD)
  assert.equal(batchByteLength(batch, 0), batch.length)
  for (let cut = 0; cut < batch.length; cut++) assert.equal(batchByteLength(batch.subarray(0, cut), 0), -1)
  for (const length of [-1, 0, 49, 0x7fffffff]) {
    new DataView(batch.buffer, batch.byteOffset).setInt32(8, length)
    assert.throws(() => batchByteLength(batch, 0), hasCode('MR_CODEC_BATCH_CORRUPT'))
  }
})

test('a finished view lives in the builder, a copy does not; the builder goes on after finish and reset', () => {
  const builder = new RecordBatchBuilder(1)
  builder.append(null, ascii('one'), 1)
  const copy = builder.finish()
  const view = builder.finish({ copy: false })
  assert.deepEqual(view, copy)
  builder.append(null, ascii('two'), 2)
  assert.equal(readRecords(builder.finish()).length, 2)
  assert.equal(builder.bytes, builder.finish().length)
  builder.reset()
  builder.append(null, new Uint8Array(100_000), 3)
  assert.deepEqual(
    readRecords(builder.finish()).map((record) => [record.offset, record.value?.length]),
    [[0, 100_000]],
  )
  assert.equal(readRecords(copy)[0]?.timeMs, 1)
})

test('a batch that was handed over stays as it is until it is given back, and its memory is used again', () => {
  const builder = new RecordBatchBuilder(256)
  const build = (letter: string): Uint8Array => {
    for (let record = 0; record < 200; record++) builder.append(ascii(`${letter}${record}`), ascii(letter.repeat(100)), record)
    return builder.handOver()
  }
  const first = build('a')
  assert.equal(builder.count, 0)
  const second = build('b')
  assert.ok(first.buffer !== second.buffer)
  for (const [batch, letter] of [
    [first, 'a'],
    [second, 'b'],
  ] as const) {
    assert.ok(verifyBatch(batch, 0))
    const records = readRecords(batch)
    assert.deepEqual(
      records.map(({ key, offset }) => `${new TextDecoder().decode(key ?? undefined)} ${offset}`),
      Array.from({ length: 200 }, (_, record) => `${letter}${record} ${record}`),
    )
  }
  reuseBatch(first)
  const third = build('c')
  assert.equal(third.buffer, first.buffer)
  assert.equal(readRecords(third).length, 200)
})
