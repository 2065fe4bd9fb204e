import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { Field } from '../codec/column.ts'
import type { FileTable } from '../connect/file-table.ts'
import { isMillraceError } from '../base/errors.ts'
import { nodeDisk } from '../base/node-disk.ts'
import { rowValue } from '../codec/column-value.ts'
import { checkFileTable, fileTableRows } from './file-table.ts'

const FIELDS: readonly Field[] = [
  { name: 'iata', type: { kind: 'string' }, nullable: false },
  { name: 'name', type: { kind: 'string' }, nullable: false },
  { name: 'latitude', type: { kind: 'f64' }, nullable: true },
]
const TABLE: FileTable = { kind: 'file-table', name: 'airports', path: 'airports.csv', format: 'csv', fields: FIELDS, primaryKey: ['iata'] }

function rows(table: FileTable, text: string): readonly unknown[] {
  const list: unknown[] = []
  for (const { batch } of fileTableRows(table, new TextEncoder().encode(text)))
    for (let index = 0; index < batch.selectedCount; index++)
      list.push(rowValue(batch.columns, FIELDS, batch.selected === null ? index : (batch.selected[index] as number)))
  return list
}

/** Code, line and bytes of each bad line. */
function badLines(table: FileTable, text: string): readonly unknown[] {
  return Array.from(fileTableRows(table, new TextEncoder().encode(text))).flatMap(({ rejected, lines: { origin } }) =>
    rejected.map(({ row, error }) => [
      error.code,
      error.details['line'],
      new TextDecoder().decode(origin?.bytes.subarray(origin.valueStarts[row], origin.valueEnds[row])),
    ]),
  )
}

test('csv with quotes, doubled quotes, newlines in cells, empty cells and other columns', () => {
  const text = 'iata,x,name,latitude\r\nABC,1,"Foo, ""Bar""\nBaz",1.5\r\n\r\nDEF,2,Plain,\n'
  assert.deepEqual(rows(TABLE, text), [
    { iata: 'ABC', name: 'Foo, "Bar"\nBaz', latitude: 1.5 },
    { iata: 'DEF', name: 'Plain', latitude: null },
  ])
  const semicolons = text.replaceAll(',', ';')
  assert.deepEqual(rows({ ...TABLE, separator: ';' }, semicolons).length, 2)
})

test('ndjson with blank lines and without a newline at the end', () => {
  const text = '{"iata":"A","name":"a","latitude":1}\n\n{"iata":"B","name":"b"}'
  assert.deepEqual(rows({ ...TABLE, format: 'json' }, text), [
    { iata: 'A', name: 'a', latitude: 1 },
    { iata: 'B', name: 'b', latitude: null },
  ])
})

test('a bad line is named with its bytes, and the rest is there', () => {
  const cases: readonly (readonly [string, string, number, string, FileTable['format']])[] = [
    ['iata,name,latitude\nA,a,1\nB,b,north\nC,c,2\n', 'MR_CODEC_FIELD_TYPE', 3, 'B,b,north', 'csv'],
    ['iata,name,latitude\nA,a,1\nB,b\nC,c,2', 'MR_CODEC_CSV_INVALID', 3, 'B,b', 'csv'],
    ['iata,name,latitude\nA,a,1\nC,c,2\nB,"b\n', 'MR_CODEC_CSV_INVALID', 4, 'B,"b\n', 'csv'],
    ['{"iata":"A","name":"a"}\n\n{"iata":"B"\n{"iata":"C","name":"c"}', 'MR_CODEC_JSON_INVALID', 3, '{"iata":"B"', 'json'],
  ]
  for (const [text, code, line, bytes, format] of cases) {
    assert.deepEqual(badLines({ ...TABLE, format }, text), [[code, line, bytes]], text)
    assert.deepEqual(
      rows({ ...TABLE, format }, text).map((row) => (row as { iata: string }).iata),
      ['A', 'C'],
      text,
    )
  }
})

test('a file that cannot be the table is refused with what is there instead', () => {
  const cases: readonly (readonly [string | null, RegExp, FileTable['format']])[] = [
    [null, /there is no such file\./, 'csv'],
    ['', /is empty/, 'csv'],
    ['iata,latitude\nA,1\n', /no column `name`: the header has `iata`, `latitude`/, 'csv'],
    ['iata,nam\nA,1\n', /did you mean `nam`\?/, 'csv'],
    ['iata;name;latitude\nA;a;1\n', /separated by `;`: set `separator: ";"`/, 'csv'],
    ['iata\tname\nA\ta\n', /separated by tabs: set `separator: "\\t"`/, 'csv'],
    ['iata,name,name\nA,a,b\n', /two columns of the header are named `name`/, 'csv'],
    ['[{"iata":"A"}]', /one object per line/, 'json'],
  ]
  for (const [text, message, format] of cases) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'millrace-table-'))
    const table = { ...TABLE, path: path.join(folder, 'airports.csv'), format }
    if (text !== null) writeFileSync(table.path, text)
    const refused = (error: unknown): boolean =>
      isMillraceError(error) && error.code === 'MR_TABLE_FILE' && message.test(error.message) && error.details['file'] === table.path
    assert.throws(() => checkFileTable(table, nodeDisk), refused, String(text))
    if (text !== null) assert.throws(() => rows(table, text), refused, text)
    rmSync(folder, { recursive: true })
  }
})
