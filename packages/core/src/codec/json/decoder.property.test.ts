import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyFields, leafFields } from '../arbitrary.fixture.ts'
import type { Field } from '../column.ts'
import { columnValue } from '../column-value.ts'
import { ROW_BAD, ROW_OK, type DecodedColumns } from '../decoded-columns.ts'
import { jsonDecoder } from './decoder.ts'
import { documentBatch, layOut, type DocumentBatch } from './document.fixture.ts'
import { oracle } from './oracle.fixture.ts'

function check(batch: DocumentBatch, into: DecodedColumns, rows: readonly number[], checked: boolean): void {
  const wanted = checked ? batch.fields : batch.projection.map((index) => batch.fields[index] as Field)
  const good: number[] = []
  for (const row of rows) {
    const expected = oracle(batch.documents[row] ?? null, wanted)
    const text = (): string => `row ${row}: ${JSON.stringify(new TextDecoder().decode(batch.documents[row] ?? new Uint8Array()))}`
    assert.equal(into.status[row], expected.status, text())
    if (expected.status === ROW_BAD) {
      const errors = into.errors.filter((error) => error.row === row)
      assert.equal(errors.length, 1, text())
      assert.ok(expected.codes.includes(errors[0]?.code ?? ''), `${text()} ${errors[0]?.code} ${expected.codes.join()}`)
      assert.ok((errors[0]?.at ?? -1) >= 0 && (errors[0]?.at ?? 0) <= (batch.documents[row]?.length ?? 0), text())
    }
    if (expected.status !== ROW_OK) continue
    good.push(row)
    for (const index of batch.projection) {
      const field = batch.fields[index] as Field
      const column = into.columns[index]
      assert.ok(column !== null && column !== undefined)
      assert.deepEqual(columnValue(column, field.type, row), expected.row[field.name], `${text()} field ${field.name}`)
    }
  }
  assert.deepEqual([...into.selected.subarray(0, into.selectedCount)], good)
  assert.equal(into.nullCount, rows.filter((row) => (batch.documents[row] ?? null) === null).length)
}

function law(fields: fc.Arbitrary<Field[]>, numRuns: number): void {
  fc.assert(
    fc.property(documentBatch(fields), fc.boolean(), fc.boolean(), fc.boolean(), (batch, asDictionary, reuse, checked) => {
      const { bytes, starts, ends } = layOut(batch)
      const dictionary = asDictionary ? batch.projection : []
      const rows = [...batch.documents.keys()]
      for (const codegen of [true, false]) {
        const decoder = jsonDecoder(batch.fields, batch.projection, { codegen, dictionary, checked, warmUpRecords: 1 })
        const into = decoder.columns()
        decoder.decode(bytes, starts, ends, rows.length, into)
        check(batch, into, rows, checked)
        // A second batch into the same columns, and only every other row of it.
        const half = rows.filter((row) => row % 2 === 1)
        const again = reuse ? into : decoder.columns()
        decoder.decode(bytes, starts, ends, half.length, again, Int32Array.from(half))
        check(batch, again, half, checked)
      }
    }),
    { numRuns },
  )
}

test('every tier decodes as JSON.parse over a fatal decoder and the schema do: leaf kinds', () => law(leafFields, 1500))
test('every tier decodes as JSON.parse over a fatal decoder and the schema do: nested kinds', () => law(anyFields, 600))
