import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Field } from '../column.ts'
import { columnValue } from '../column-value.ts'
import { fieldsOf, t } from '../schema.ts'
import { jsonDecoder } from './decoder.ts'
import { learnLayout } from './layout.ts'
import { JSON_DEPTH_MAX, isDocument } from './scan.ts'
import { scannerMemory } from './scanner-memory.ts'
import { orderedModule } from './speculate.ts'
import { unorderedModule } from './unordered.ts'

const encoder = new TextEncoder()
const order = fieldsOf(t.object({ id: t.i64(), price: t.f64(), name: t.string(), at: t.time(), note: t.optional(t.string()) })) ?? []

function layOut(texts: readonly (string | Uint8Array)[], padding = 0): { bytes: Uint8Array; starts: Int32Array; ends: Int32Array } {
  const parts = texts.map((text) => (typeof text === 'string' ? encoder.encode(text) : text))
  const ends = Int32Array.from(parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, part) => sum + part.length, 0)))
  return { bytes: Buffer.concat([...parts, new Uint8Array(padding)]), starts: ends.map((end, i) => end - (parts[i]?.length ?? 0)), ends }
}

function decodeAll(
  fields: readonly Field[],
  texts: readonly (string | Uint8Array)[],
  options: { codegen?: boolean; dictionary?: number[] } = {},
) {
  const { bytes, starts, ends } = layOut(texts, 300)
  const decoder = jsonDecoder(fields, [...fields.keys()], { ...options, warmUpRecords: 1 })
  const into = decoder.columns()
  decoder.decode(bytes, starts, ends, texts.length, into)
  const rows = texts.map((_, row) => {
    const error = into.errors.find((candidate) => candidate.row === row)
    if (error !== undefined) return `${error.code} ${error.at} ${error.field}`
    return Object.fromEntries(
      fields.map((field, index) => [field.name, columnValue(into.columns[index] ?? assert.fail('column'), field.type, row)]),
    )
  })
  return { rows, into }
}

test('an error has its code, its byte position and its field', () => {
  for (const codegen of [true, false]) {
    const good = '{"id":1,"price":2.5,"name":"é","at":"2001-01-01","note":null}'
    const { rows } = decodeAll(
      order,
      [
        good,
        '{"id":1,"price":2.5,"name":"x"',
        '{"id":1,"price":"2","name":"x","at":1}',
        '{"id":1}',
        '[1]',
        '{"id":1,"price":2,"name":"\u00ff","at":1} ',
        Uint8Array.from([0x7b, 0xff]),
        '{"id":1,"price":01,"name":"x","at":1}',
        '',
        '{"id":9007199254740992,"price":1,"name":"","at":0}',
        good + good,
      ],
      { codegen },
    )
    assert.deepEqual(rows, [
      { id: 1, price: 2.5, name: 'é', at: 978307200000, note: null },
      'MR_CODEC_JSON_INVALID 30 ',
      'MR_CODEC_FIELD_TYPE 16 price',
      'MR_CODEC_FIELD_MISSING 0 price',
      'MR_CODEC_FIELD_TYPE 0 ',
      { id: 1, price: 2, name: 'ÿ', at: 1, note: null },
      'MR_CODEC_JSON_INVALID 1 ',
      'MR_CODEC_JSON_INVALID 17 ',
      'MR_CODEC_JSON_INVALID 0 ',
      'MR_CODEC_FIELD_RANGE 6 id',
      `MR_CODEC_JSON_INVALID ${encoder.encode(good).length} `,
    ])
  }
})

test('the last of duplicate keys wins, also over a bad one', () => {
  for (const codegen of [true, false]) {
    const { rows } = decodeAll(
      [order[0] as Field],
      ['{"id":1,"id":2}', '{"id":"x","id":3}', '{"id":4,"\\u0069d":5}', '{"id":6,"id":"x"}'],
      { codegen },
    )
    assert.deepEqual(rows, [{ id: 2 }, { id: 3 }, { id: 5 }, 'MR_CODEC_FIELD_TYPE 13 id'])
  }
})

test('documents nest to the limit and no deeper, and a long run of brackets costs no stack', () => {
  const nested = (depth: number): string => `{"id":1,"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  for (const codegen of [true, false]) {
    const { rows } = decodeAll(
      [order[0] as Field],
      [nested(JSON_DEPTH_MAX), nested(JSON_DEPTH_MAX + 1), '['.repeat(1_000_000), `{"id":${'{"a":'.repeat(100_000)}`],
      { codegen },
    )
    assert.deepEqual(rows[0], { id: 1 })
    assert.deepEqual(
      rows.slice(1).map((row) => (typeof row === 'string' ? row.split(' ')[0] : row)),
      ['MR_CODEC_JSON_INVALID', 'MR_CODEC_JSON_INVALID', 'MR_CODEC_JSON_INVALID'],
    )
  }
})

test('a big integer promotes its column, a small one does not', () => {
  const fields = fieldsOf(t.object({ big: t.bigint() })) ?? []
  const { rows, into } = decodeAll(fields, [
    '{"big":9223372036854775807}',
    '{"big":"-5"}',
    '{"big":1e3}',
    '{"big":9007199254740993}',
    '{"big":9223372036854775808}',
  ])
  assert.equal(into.columns[0]?.layout, 'i64')
  assert.deepEqual(rows, [
    { big: 9223372036854775807n },
    { big: -5n },
    { big: 1000n },
    { big: 9007199254740993n },
    'MR_CODEC_FIELD_RANGE 7 big',
  ])
  assert.equal(decodeAll(fields, ['{"big":1}']).into.columns[0]?.layout, 'f64')
})

test('strings are slices of the records, bytes when one has escapes, a dictionary when asked', () => {
  const fields = [order[2] as Field]
  assert.equal(decodeAll(fields, ['{"name":"a"}']).into.columns[0]?.layout, 'slice')
  const escaped = decodeAll(fields, ['{"name":"a"}', '{"name":"\\u00e9\\n\\ud83d\\ude00"}'])
  assert.equal(escaped.into.columns[0]?.layout, 'bytes')
  assert.deepEqual(escaped.rows, [{ name: 'a' }, { name: 'é\n😀' }])
  const { rows, into } = decodeAll(fields, ['{"name":"a"}', '{"name":"b"}', '{"name":"\\u0061"}', '{"name":""}'], { dictionary: [0] })
  const column = into.columns[0]
  assert.ok(column?.layout === 'dictionary')
  assert.deepEqual([[...column.ids.subarray(0, 4)], column.dictionaryCount], [[0, 1, 0, 2], 3])
  assert.deepEqual(rows, [{ name: 'a' }, { name: 'b' }, { name: 'a' }, { name: '' }])
})

test('more distinct values than a dictionary may have give slices', () => {
  const fields = [order[2] as Field]
  const texts = Array.from({ length: 65_537 }, (_, i) => `{"name":"n${i}"}`)
  const parts = texts.map((text) => encoder.encode(text))
  const bytes = Buffer.concat(parts)
  let at = 0
  const starts = Int32Array.from(parts, (part) => (at += part.length) - part.length)
  const ends = Int32Array.from(parts, (part, i) => (starts[i] ?? 0) + part.length)
  const decoder = jsonDecoder(fields, [0], { dictionary: [0] })
  const into = decoder.columns()
  assert.equal(decoder.decode(bytes, starts, ends, texts.length, into), texts.length)
  const column = into.columns[0]
  assert.equal(column?.layout, 'slice')
  assert.equal(columnValue(column ?? assert.fail(), { kind: 'string' }, 65_536), 'n65536')
  // The next batch has few values again.
  decoder.decode(bytes, starts, ends, 10, into)
  assert.equal(into.columns[0]?.layout, 'dictionary')
})

test('a stream whose layout changes is read on, by code for each layout', () => {
  const before = Array.from({ length: 200 }, (_, i) => `{"id":${i},"price":${i / 4},"name":"n","at":${i}}`)
  const after = Array.from({ length: 200 }, (_, i) => `{ "at": "2001-01-01", "extra": [${i}], "name": "m", "id": ${i}, "price": -0.5 }`)
  const mixed = before.flatMap((text, i) => [text, after[i] ?? ''])
  for (const texts of [[...before, ...after], [...after, ...before], mixed]) {
    const expected = texts.map((text) => JSON.parse(text) as { id: number; price: number; name: string; at: number | string })
    const { rows } = decodeAll(order, texts)
    rows.forEach((row, i) => {
      const { id, price, name, at } = expected[i] ?? assert.fail()
      assert.deepEqual(row, { id, price, name, at: typeof at === 'string' ? Date.parse(at) : at, note: null })
    })
  }
})

test('batches of more records and bytes than a scan takes, records larger than its memory, selections of rows', () => {
  const note = (row: number): string => (row % 700 === 699 ? 'y'.repeat(140_000) : row % 5 === 0 ? 'a\\n\u00e9' : 'x'.repeat(row % 300))
  const texts = Array.from({ length: 2000 }, (_, row) =>
    row % 97 === 0 ? '{"id":' : `{"id":${row},"price":${row / 4},"name":"${note(row)}","note":${row % 3 === 0 ? null : '"n"'},"at":${row}}`,
  )
  const records = texts.map((text) => encoder.encode(text))
  const starts = new Int32Array(records.length)
  const ends = new Int32Array(records.length)
  const bytes = new Uint8Array(records.reduce((size, record) => size + record.length + 3, 0))
  let end = 0
  records.forEach((record, row) => {
    starts[row] = end + 3
    bytes.set(record, end + 3)
    ends[row] = end += record.length + 3
  })
  for (const rows of [null, Int32Array.from({ length: 1000 }, (_, i) => i * 2 + 1)]) {
    const [generated, general] = [true, false].map((codegen) => {
      const decoder = jsonDecoder(order, [0, 1, 2, 3, 4], { codegen, warmUpRecords: 1 })
      const into = decoder.columns()
      decoder.decode(bytes, starts, ends, rows?.length ?? texts.length, into, rows)
      const selected = [...into.selected.subarray(0, into.selectedCount)]
      return {
        selected,
        errors: into.errors.map(({ row, code, at }) => ({ row, code, at })),
        values: selected.map((row) => order.map((field, index) => columnValue(into.columns[index] ?? assert.fail(), field.type, row))),
      }
    })
    assert.deepEqual(generated, general)
  }
})

test('the grammar is that of JSON.parse for any short text', () => {
  const alphabet = fc.constantFrom(
    ...Array.from('{}[]:,"\\ \t\n\r0123456789.-+eEtrufalsn/bx'),
    '\u0000',
    '\u001f',
    '\u007f',
    'é',
    '\ufeff',
    'null',
    'true',
    'false',
    '"a"',
    '\\u',
    '\\ud83d',
    '1e5',
  )
  const accepted = (text: string): boolean => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
      const text = parts.join('')
      const bytes = encoder.encode(text)
      assert.equal(isDocument(bytes, new DataView(bytes.buffer), 0, bytes.length), accepted(text), JSON.stringify(text))
    }),
    { numRuns: 20_000 },
  )
})

test('UTF-8 inside strings is what a fatal TextDecoder takes', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0x9f, 0xa0, 0x8f, 0x90, 0x61),
          fc.nat(255),
        ),
        { maxLength: 9 },
      ),
      (middle) => {
        const content = Uint8Array.from(middle.filter((byte) => byte >= 32 && byte !== 34 && byte !== 92))
        const bytes = Uint8Array.from([34, ...content, 34])
        let valid = true
        try {
          decoder.decode(content)
        } catch {
          valid = false
        }
        assert.equal(isDocument(bytes, new DataView(bytes.buffer), 0, bytes.length), valid)
      },
    ),
    { numRuns: 20_000 },
  )
})

test('generated modules are valid and stay small', () => {
  const bytes = encoder.encode('{"id":1,"other":"x","note":null,"price":1.5,"name":"n","at":5}')
  const layout = learnLayout(bytes, new DataView(bytes.buffer), 0, bytes.length) ?? assert.fail('layout')
  const slots = jsonDecoder(order, [0, 1, 4]).columns().slots
  for (const module of [orderedModule(layout, slots), unorderedModule([layout], slots)]) {
    assert.ok(module !== null && module.length < 4096)
    assert.equal(typeof scannerMemory()?.link(module), 'function')
  }
})
