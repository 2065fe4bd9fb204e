import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Field } from '../codec/column.ts'
import type { FileTable } from '../connect/file-table.ts'
import { isMillraceError } from '../base/errors.ts'
import { rowValue } from '../codec/column-value.ts'
import { fileTableBatches } from './file-table.ts'

const FIELDS: readonly Field[] = [
  { name: 'iata', type: { kind: 'string' }, nullable: false },
  { name: 'name', type: { kind: 'string' }, nullable: false },
  { name: 'latitude', type: { kind: 'f64' }, nullable: true },
]
const TABLE: FileTable = { kind: 'file-table', name: 'airports', path: 'airports.csv', format: 'csv', fields: FIELDS, primaryKey: ['iata'] }

function rows(table: FileTable, text: string): readonly unknown[] {
  return fileTableBatches(table, new TextEncoder().encode(text)).flatMap((batch) =>
    Array.from({ length: batch.rowCount }, (_, row) => rowValue(batch.columns, FIELDS, row)),
  )
}

test('csv with quotes, doubled quotes, newlines in cells, empty cells and other columns', () => {
  const text = 'iata,x,name,latitude\r\nABC,1,"Foo, ""Bar""\nBaz",1.5\r\n\r\nDEF,2,Plain,\n'
  assert.deepEqual(rows(TABLE, text), [
    { iata: 'ABC', name: 'Foo, "Bar"\nBaz', latitude: 1.5 },
    { iata: 'DEF', name: 'Plain', latitude: null },
  ])
})

test('ndjson with blank lines and without a newline at the end', () => {
  const text = '{"iata":"A","name":"a","latitude":1}\n\n{"iata":"B","name":"b"}'
  assert.deepEqual(rows({ ...TABLE, format: 'json' }, text), [
    { iata: 'A', name: 'a', latitude: 1 },
    { iata: 'B', name: 'b', latitude: null },
  ])
})

test('a bad line names the file, the line and the field', () => {
  const cases: readonly (readonly [string, string, number, FileTable['format']])[] = [
    ['iata,name,latitude\nA,a,1\nB,b,north\n', 'MR_CODEC_FIELD_TYPE', 3, 'csv'],
    ['iata,name,latitude\nA,a\n', 'MR_CODEC_CSV_INVALID', 2, 'csv'],
    ['iata,name,latitude\nA,"a\n', 'MR_CODEC_CSV_INVALID', 2, 'csv'],
    ['iata,latitude\nA,1\n', 'MR_CODEC_FIELD_MISSING', 1, 'csv'],
    ['{"iata":"A","name":"a"}\n\n{"iata":"B"', 'MR_CODEC_JSON_INVALID', 3, 'json'],
  ]
  for (const [text, code, line, format] of cases) {
    assert.throws(
      () => rows({ ...TABLE, format }, text),
      (error) =>
        isMillraceError(error) && error.code === code && error.details['line'] === line && error.details['file'] === 'airports.csv',
      text,
    )
  }
})
