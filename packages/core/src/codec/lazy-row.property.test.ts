import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyFields, relayout, rowOf } from './arbitrary.fixture.ts'
import { columnsOf } from './column-builder.ts'
import { rowValue } from './column-value.ts'
import type { Batch, Field, RowOrigin } from './column.ts'
import { documentText } from './json/document.fixture.ts'
import { LazyRows } from './lazy-row.ts'

const EMPTY: Batch = {
  rowCount: 0,
  columns: [],
  times: new Float64Array(0),
  weights: null,
  selected: null,
  selectedCount: 0,
  origin: null,
  originRows: null,
  values: null,
}

function originOf(fields: readonly Field[], rows: readonly Record<string, unknown>[]): RowOrigin {
  const documents = rows.map((row) => new TextEncoder().encode(documentText(fields, row, 'plain', () => 0)))
  const ends = documents.map((_, i) => documents.slice(0, i + 1).reduce((sum, document) => sum + document.length, 0))
  const none = new Int32Array(rows.length).fill(-1)
  return {
    topic: 't',
    partition: 0,
    bytes: Buffer.concat(documents),
    valueStarts: Int32Array.from([0, ...ends.slice(0, -1)]),
    valueEnds: Int32Array.from(ends),
    keyStarts: none,
    keyEnds: none,
    offsets: new Float64Array(rows.length),
  }
}

/** A spread makes plain values of the accessors. */
const plain = (row: object): object => ({ ...row })

test('a lazy row equals the row, from columns and from bytes, generated, interpreted and guarded', () => {
  const cases = anyFields.chain((fields) =>
    fc.record({
      fields: fc.constant(fields),
      rows: fc.array(rowOf(fields), { minLength: 1, maxLength: 8 }),
      present: fc.array(fc.boolean(), { minLength: fields.length, maxLength: fields.length }),
      picks: fc.array(fc.nat(), { maxLength: 8 }),
      layout: fc.constantFrom('bytes', 'slice', 'dictionary'),
    }),
  )
  fc.assert(
    fc.property(cases, ({ fields, rows, present, picks, layout }) => {
      const originRows = Int32Array.from(picks.map((pick) => pick % rows.length))
      const origin = originOf(fields, rows)
      for (const options of [{ codegen: true }, { codegen: false }, { guard: true }]) {
        const lazy = new LazyRows(fields, options)
        for (const mapping of [null, originRows, null]) {
          const mapped = mapping === null ? rows : [...mapping].map((row) => rows[row] ?? {})
          const columns = columnsOf(fields, mapped).map((column, index) =>
            present[index] === true ? relayout(column, layout, mapped.length) : null,
          )
          const selected = Int32Array.from([...mapped.keys()].filter((row) => row % 2 === 0))
          lazy.bind({ ...EMPTY, rowCount: mapped.length, columns, selected, selectedCount: selected.length, origin, originRows: mapping })
          for (const row of selected) {
            // What the columns give is the expectation: a decimal or a time in text equals its column.
            const expected = rowValue(columnsOf(fields, mapped), fields, row)
            assert.deepEqual(plain(lazy.at(row)), expected)
            assert.deepEqual(Object.keys(lazy.at(row)), Object.keys(expected))
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})
