import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Field } from '../codec/column.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { LineWriter } from './ndjson-encoder.ts'

const FIELDS: readonly Field[] = [
  { name: 'id', type: { kind: 'i64' }, nullable: false },
  { name: 'at', type: { kind: 'time' }, nullable: true },
]

test('a time is the text of Date.toISOString, in any rows of any batch', () => {
  const time = fc.oneof(
    fc.constant(null),
    fc.integer({ min: 0, max: 4e12 }),
    fc.integer({ min: 0, max: 50 }).map((day) => day * 86_400_000),
    fc.integer({ min: -8.64e15, max: 8.64e15 }),
    fc.constantFrom(253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_000, -62_167_219_200_001),
  )
  const rows = fc.array(fc.record({ time, isLive: fc.boolean() }), { minLength: 1, maxLength: 30 })
  const lines = new LineWriter(FIELDS, 'iso')
  fc.assert(
    fc.property(rows, fc.boolean(), (list, isWhole) => {
      const ids = columnBuilder({ kind: 'i64' })
      const times = columnBuilder({ kind: 'time' })
      for (const [id, row] of list.entries()) {
        ids.append(id)
        times.append(row.time)
      }
      const live = list.flatMap(({ isLive }, row) => (isWhole || isLive ? [row] : []))
      const batch: Batch = {
        rowCount: list.length,
        columns: [ids.finish(), times.finish()],
        times: new Float64Array(list.length),
        weights: null,
        selected: isWhole ? null : Int32Array.from(live),
        selectedCount: live.length,
        origin: null,
        originRows: null,
        values: null,
      }
      const into = new GrowingBytes(16)
      lines.append(into, batch, 0, live.length)
      const expected = live.map((id) => {
        const at = list[id]?.time ?? null
        return `${JSON.stringify({ id, at: at === null ? null : new Date(at) })}\n`
      })
      assert.equal(new TextDecoder().decode(into.bytes.subarray(0, into.at)), expected.join(''))
    }),
    { numRuns: 500 },
  )
})
