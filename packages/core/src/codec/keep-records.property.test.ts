import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keepRecords } from './keep-records.ts'
import { readBatchHeader, readRecords, recordBatch, RecordRows, setBaseOffset, verifyBatch } from './record-batch.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 100 }), { nil: null })
const records = fc.array(fc.record({ key: bytes, value: bytes, timeMs: fc.nat(), kept: fc.boolean() }, { noNullPrototype: true }), {
  minLength: 1,
  maxLength: 30,
})

test('the records that stay keep offset, time, key and value; the last offset of the batch stays', () => {
  fc.assert(
    fc.property(records, fc.nat(1e9), (input, baseOffset) => {
      const batch = recordBatch(input, { producerId: 7, producerEpoch: 1, baseSequence: 3 })
      setBaseOffset(batch, 0, baseOffset)
      const rows = new RecordRows()
      rows.read(batch, 0)
      const kept = keepRecords(batch, rows, (row) => input[row]?.kept === true)
      const expected = readRecords(batch).filter((_, row) => input[row]?.kept === true)
      if (kept === null) return assert.equal(expected.length, 0)
      assert.ok(verifyBatch(kept, 0))
      assert.deepEqual(readRecords(kept), expected)
      const { lastOffset, producerId, recordCount } = readBatchHeader(kept, 0)
      assert.deepEqual(
        { lastOffset, producerId, recordCount },
        { lastOffset: baseOffset + input.length - 1, producerId: 7, recordCount: expected.length },
      )
    }),
    { numRuns: 300 },
  )
})
