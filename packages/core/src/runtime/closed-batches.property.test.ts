import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readRecords, RecordBatchBuilder, verifyBatch } from '../codec/record-batch.ts'
import { ClosedBatches } from './closed-batches.ts'

test('what was taken stays as it was built until the next batch is added, small and large ones together', () => {
  const step = fc.array(fc.record({ partition: fc.nat(3), bytes: fc.oneof(fc.nat(300), fc.integer({ min: 15_000, max: 40_000 })) }), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (commits) => {
      const closed = new ClosedBatches()
      const builders = [0, 1, 2, 3].map(() => new RecordBatchBuilder(256))
      let number = 0
      for (const batches of commits) {
        const expected: { partition: number; length: number; mark: number }[] = []
        for (const { partition, bytes } of batches) {
          const value = new Uint8Array(bytes).fill(++number)
          builders[partition]?.append(null, value, number)
          closed.add('t', partition, builders[partition] as RecordBatchBuilder)
          expected.push({ partition, length: bytes, mark: number })
        }
        const taken = closed.take()
        assert.deepEqual(closed.take(), [])
        assert.equal(taken.length, expected.length)
        for (const [index, { topic, partition, batch }] of taken.entries()) {
          const wanted = expected[index]
          assert.ok(verifyBatch(batch, 0))
          const [record, ...more] = readRecords(batch)
          assert.deepEqual(more, [])
          assert.equal(topic, 't')
          assert.equal(partition, wanted?.partition)
          assert.equal(record?.timeMs, wanted?.mark)
          assert.deepEqual(record?.value, new Uint8Array(wanted?.length ?? 0).fill(wanted?.mark ?? 0))
        }
      }
    }),
    { numRuns: 200 },
  )
})
