import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import { anyFields, rowOf } from './arbitrary.fixture.ts'
import { encodeBase64 } from './base64.ts'
import { columnValue } from './column-value.ts'
import type { Field } from './column.ts'
import { csvDecoder, csvHeader, csvSplitter } from './csv.ts'
import { ROW_OK } from './decoded-columns.ts'
import { jsonText } from './json/exact.ts'

function textOf(field: Field, value: unknown): string {
  if (value instanceof Uint8Array) return encodeBase64(value)
  if (typeof value === 'string' && field.type.kind !== 'json') return value
  if (field.type.kind === 'json' || field.type.kind === 'list' || field.type.kind === 'struct') {
    return JSON.stringify(value, (_key, part: unknown) =>
      part instanceof Uint8Array
        ? encodeBase64(part)
        : part instanceof Object || typeof part !== 'bigint'
          ? part
          : JSON.parse(jsonText(Number(part))),
    )
  }
  return jsonText(value)
}

function written(field: Field, value: unknown, quote: boolean, separator: string): string {
  if (value === null) return ''
  const text = textOf(field, value)
  return quote || text === '' || text.startsWith('"') || /["\r\n]/.test(text) || text.includes(separator)
    ? `"${text.replaceAll('"', '""')}"`
    : text
}

/** Values that JSON text keeps: a bigint inside a list is beyond this test's writer. */
const hasBig = (fields: readonly Field[]): boolean =>
  JSON.stringify(fields.filter((field) => field.type.kind === 'list' || field.type.kind === 'struct')).includes('"big"')

test('CSV decodes to the rows that were written, for any fields, order of columns and projection', () => {
  const cases = anyFields
    .filter((fields) => !hasBig(fields))
    .chain((fields) =>
      fc.record({
        fields: fc.constant(fields),
        rows: fc.array(rowOf(fields), { minLength: 1, maxLength: 6 }),
        order: fc.shuffledSubarray([...fields.keys()], { minLength: fields.length }),
        quotes: fc.infiniteStream(fc.boolean()),
        separator: fc.constantFrom(',', ';', '\t'),
        crlf: fc.boolean(),
        dictionary: fc.boolean(),
      }),
    )
  fc.assert(
    fc.property(cases, ({ fields, rows, order, quotes, separator, crlf, dictionary }) => {
      const columns = order.map((index) => fields[index] as Field)
      const line = crlf ? '\r\n' : '\n'
      const quote = (): boolean => quotes.next().value === true
      const header = columns.map((field) => written({ ...field, type: { kind: 'string' } }, field.name, true, separator)).join(separator)
      const body = rows.map((row) => columns.map((field) => written(field, row[field.name], quote(), separator)).join(separator))
      // One column whose field is null is an empty line, which is no record.
      if (columns.length === 1) body.forEach((text, i) => (body[i] = text === '' ? '""' : text))
      const splitter = csvSplitter({ separator })
      const batch = splitter.push(new TextEncoder().encode([header, ...body, ''].join(line)))
      assert.equal(batch.count, rows.length + 1)
      const names = csvHeader(batch.bytes, batch.starts[0] ?? 0, batch.ends[0] ?? 0, { separator })
      assert.deepEqual(
        names,
        columns.map((field) => field.name),
      )
      const projection = [...fields.keys()].filter((index) => index % 2 === 0)
      const decoder = csvDecoder(fields, projection, { separator, header: names, dictionary: dictionary ? projection : [] })
      const into = decoder.columns()
      decoder.decode(batch.bytes, batch.starts.subarray(1), batch.ends.subarray(1), rows.length, into)
      rows.forEach((row, i) => {
        if (columns.length === 1 && body[i] === '""') return
        assert.equal(into.status[i], ROW_OK, `${JSON.stringify(into.errors)} ${body[i]}`)
        for (const index of projection) {
          const field = fields[index] as Field
          const column = into.columns[index]
          assert.ok(column)
          const value = columnValue(column, field.type, i)
          assert.deepEqual(plain(value), plain(row[field.name]))
        }
      })
    }),
    { numRuns: 400 },
  )
})

/** What JSON text keeps of a value: -0 is 0 there. */
const plain = (value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : JSON.parse(JSON.stringify([value])))

const fields: Field[] = [
  { name: 'id', type: { kind: 'i64' }, nullable: false },
  { name: 'name', type: { kind: 'string' }, nullable: true },
]

function decodeOne(text: string): { readonly code: string | null; readonly at: number; readonly field: string } {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text
  const decoder = csvDecoder(fields, [0, 1])
  const into = decoder.columns()
  decoder.decode(bytes, Int32Array.of(0), Int32Array.of(bytes.length), 1, into)
  return { code: into.errors[0]?.code ?? null, at: into.errors[0]?.at ?? -1, field: into.errors[0]?.field ?? '' }
}

test('bad records are refused with their place', () => {
  assert.deepEqual(decodeOne('1,a'), { code: null, at: -1, field: '' })
  assert.deepEqual(decodeOne('1'), { code: 'MR_CODEC_CSV_INVALID', at: 0, field: '' })
  assert.deepEqual(decodeOne('1,a,b'), { code: 'MR_CODEC_CSV_INVALID', at: 0, field: '' })
  assert.deepEqual(decodeOne('1,a"b'), { code: 'MR_CODEC_CSV_INVALID', at: 3, field: '' })
  assert.deepEqual(decodeOne('1,"a'), { code: 'MR_CODEC_CSV_INVALID', at: 4, field: '' })
  assert.deepEqual(decodeOne('1,"a"b'), { code: 'MR_CODEC_CSV_INVALID', at: 5, field: '' })
  assert.deepEqual(decodeOne('x,a'), { code: 'MR_CODEC_FIELD_TYPE', at: 0, field: 'id' })
  assert.deepEqual(decodeOne(',a'), { code: 'MR_CODEC_FIELD_MISSING', at: 0, field: 'id' })
  assert.deepEqual(decodeOne('9007199254740993,a'), { code: 'MR_CODEC_FIELD_RANGE', at: 0, field: 'id' })
  assert.deepEqual(decodeOne('1,\xff'), { code: 'MR_CODEC_UTF8_INVALID', at: 0, field: '' })
})

test('a header without a required column names the nearest one', () => {
  assert.throws(
    () => csvDecoder(fields, [0], { header: ['ids', 'name'] }),
    (error) => isMillraceError(error) && error.code === 'MR_CODEC_CSV_INVALID' && error.message.includes('did you mean `ids`'),
  )
  assert.throws(() => csvSplitter({ separator: '"' }), isMillraceError)
})
