import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyFields, leafFields } from '../arbitrary.fixture.ts'
import { coerceRow, type Problem } from '../coerce.ts'
import type { Field } from '../column.ts'
import { columnValue } from '../column-value.ts'
import { ROW_BAD, ROW_NULL, ROW_OK, type DecodedColumns } from '../decoded-columns.ts'
import { jsonDecoder } from './decoder.ts'
import { documentBatch, layOut, type DocumentBatch } from './document.fixture.ts'
import { ExactNumber, parseExact } from './exact.ts'
import { JSON_DEPTH_MAX } from './scan.ts'

type Expected = { readonly status: number; readonly row: Record<string, unknown>; readonly codes: readonly string[] }

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

/** JSON.parse over a fatal UTF-8 decoder, then schema coercion. */
function oracle(document: Uint8Array | null, fields: readonly Field[]): Expected {
  if (document === null) return { status: ROW_NULL, row: {}, codes: [] }
  let value: unknown
  try {
    value = parseExact(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(document))
  } catch {
    return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_JSON_INVALID', 'MR_CODEC_UTF8_INVALID'] }
  }
  if (depthOf(value) > JSON_DEPTH_MAX) return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_JSON_INVALID'] }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber) return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_FIELD_TYPE'] }
  const problems: Problem[] = []
  const row = coerceRow(fields, value as Record<string, unknown>, [], problems)
  return { status: problems.length > 0 ? ROW_BAD : ROW_OK, row, codes: problems.map((problem) => problem.code) }
}

function check(batch: DocumentBatch, into: DecodedColumns, rows: readonly number[]): void {
  const wanted = batch.projection.map((index) => batch.fields[index] as Field)
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
    fc.property(documentBatch(fields), fc.boolean(), fc.boolean(), (batch, asDictionary, reuse) => {
      const { bytes, starts, ends } = layOut(batch)
      const dictionary = asDictionary ? batch.projection : []
      const rows = [...batch.documents.keys()]
      for (const codegen of [true, false]) {
        const decoder = jsonDecoder(batch.fields, batch.projection, { codegen, dictionary, warmUpRecords: 1 })
        const into = decoder.columns()
        decoder.decode(bytes, starts, ends, rows.length, into)
        check(batch, into, rows)
        // A second batch into the same columns, and only every other row of it.
        const half = rows.filter((row) => row % 2 === 1)
        const again = reuse ? into : decoder.columns()
        decoder.decode(bytes, starts, ends, half.length, again, Int32Array.from(half))
        check(batch, again, half)
      }
    }),
    { numRuns },
  )
}

test('every tier decodes as JSON.parse over a fatal decoder and the schema do: leaf kinds', () => law(leafFields, 1500))
test('every tier decodes as JSON.parse over a fatal decoder and the schema do: nested kinds', () => law(anyFields, 600))
