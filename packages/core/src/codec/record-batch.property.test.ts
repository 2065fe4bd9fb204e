import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  readBatchHeader,
  readRecords,
  recordBatch,
  RecordBatchBuilder,
  type RecordInput,
  setBaseOffset,
  verifyBatch,
} from './record-batch.ts'

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 60, maxLength: 70 }),
  fc.nat(20_000).map((size) => new Uint8Array(size).fill(size & 255)),
)
const timeMs = fc.oneof(fc.nat(2000), fc.integer({ min: 1_699_999_999_000, max: 1_700_000_001_000 }), fc.integer({ min: 0, max: 8.64e15 }))
const header = fc.record(
  { key: fc.string({ unit: 'grapheme', maxLength: 10 }), value: fc.option(fc.uint8Array({ maxLength: 80 }), { nil: null }) },
  { noNullPrototype: true },
)
const record: fc.Arbitrary<RecordInput> = fc.record({
  key: fc.option(bytes, { nil: null }),
  value: fc.option(bytes, { nil: null }),
  timeMs,
  headers: fc.array(header, { maxLength: 3 }),
})
const records = fc.array(record, { minLength: 1, maxLength: 40 })

test('what was appended is read back, by append and by appendRange', () => {
  fc.assert(
    fc.property(records, fc.nat(2 ** 40), fc.nat(200), (input, baseOffset, pad) => {
      const expected = input.map((one, index) => ({ ...one, offset: baseOffset + index }))
      const batch = recordBatch(input)
      setBaseOffset(batch, 0, baseOffset)
      assert.deepEqual(
        readRecords(batch),
        expected.map(({ offset, timeMs: time, key, value, headers }) => ({ offset, timeMs: time, key, value, headers })),
      )
      assert.ok(verifyBatch(batch, 0))
      const { recordCount, maxTimeMs, baseTimeMs, lastOffset } = readBatchHeader(batch, 0)
      assert.deepEqual(
        { recordCount, maxTimeMs, baseTimeMs, lastOffset },
        {
          recordCount: input.length,
          maxTimeMs: Math.max(...input.map((one) => one.timeMs)),
          baseTimeMs: input[0]?.timeMs,
          lastOffset: baseOffset + input.length - 1,
        },
      )
      const builder = new RecordBatchBuilder(1)
      for (const { key, value, timeMs: time } of input) {
        const source = Buffer.concat([new Uint8Array(pad), key ?? new Uint8Array(0), value ?? new Uint8Array(0)])
        const middle = pad + (key?.length ?? 0)
        builder.appendRange(key === null ? null : source, pad, middle, value === null ? null : source, middle, source.length, time)
      }
      assert.deepEqual(
        readRecords(builder.finish()).map(({ key, value, timeMs: time }) => ({ key, value, timeMs: time })),
        input.map(({ key, value, timeMs: time }) => ({ key, value, timeMs: time })),
      )
    }),
    { numRuns: 300 },
  )
})

test('more records than two and three byte offsets hold', () => {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < 1_100_000; index++) builder.appendRange(null, 0, 0, null, 0, 0, index)
  const rows = readRecords(builder.finish(), 1_099_990)
  assert.deepEqual(
    rows.map(({ offset, timeMs: time }) => offset - time),
    Array.from({ length: 10 }, () => 0),
  )
})

/** Hands out `batch` in a buffer with foreign bytes around it, to see that nobody reads or needs them. */
function surrounded(batch: Uint8Array, fill: number): Uint8Array {
  const all = new Uint8Array(batch.length + 64).fill(fill)
  all.set(batch, 32)
  return all.subarray(32, 32 + batch.length)
}

test('a batch cut off anywhere is refused', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), (input) => {
      const batch = recordBatch(input)
      for (let cut = 0; cut < batch.length; cut += cut < 100 ? 1 : 97) {
        const part = surrounded(batch.subarray(0, cut), 1)
        assert.equal(verifyBatch(part, 0), false)
        assert.deepEqual(readRecords(part), [])
      }
    }),
    { numRuns: 50 },
  )
})

test('a flipped bit is refused by verifyBatch wherever the CRC or the structure covers it', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), fc.nat(), (input, seed) => {
      const batch = recordBatch(input)
      for (let step = 0; step < 200; step++) {
        const bit = (seed + step * 7919) % (batch.length * 8)
        const at = bit >> 3
        const damaged = surrounded(batch, 255)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7))
        const uncovered = at < 8 || (at >= 12 && at < 16)
        if (!uncovered) assert.equal(verifyBatch(damaged, 0), false, `bit ${bit}`)
      }
    }),
    { numRuns: 50 },
  )
})

test('damaged bytes without a check of the CRC give rows inside the batch or MR_CODEC_BATCH_CORRUPT, never anything else', () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (input, damage) => {
        const damaged = surrounded(recordBatch(input), 255)
        for (const [at, byte] of damage) damaged[at % damaged.length] = byte
        try {
          for (const row of readRecords(damaged)) assert.ok((row.key?.length ?? 0) + (row.value?.length ?? 0) <= damaged.length)
        } catch (error) {
          assert.match(String((error as { code?: string }).code), /^MR_CODEC_(BATCH_CORRUPT|UNSUPPORTED)$/, String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})
