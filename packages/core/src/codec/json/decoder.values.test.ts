import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Field, FieldType } from '../column.ts'
import { columnValue } from '../column-value.ts'
import { ROW_OK } from '../decoded-columns.ts'
import { jsonDecoder } from './decoder.ts'
import { ODD_VALUES } from './document.fixture.ts'
import { oracle } from './oracle.fixture.ts'

const KINDS: readonly (readonly [FieldType, string])[] = [
  [{ kind: 'bool' }, 'true'],
  [{ kind: 'i32' }, '12'],
  [{ kind: 'i64' }, '123456'],
  [{ kind: 'i64', big: true }, '12'],
  [{ kind: 'f64' }, '1.5'],
  [{ kind: 'time' }, '1700000000000'],
  [{ kind: 'time' }, '"2001-02-03T04:05:06Z"'],
  [{ kind: 'decimal', precision: 6, scale: 2 }, '1.25'],
  [{ kind: 'decimal', precision: 18, scale: 17 }, '1.25'],
  [{ kind: 'string' }, '"text"'],
  [{ kind: 'bytes' }, '"AAAA"'],
  [{ kind: 'json' }, '{"a":1}'],
  [{ kind: 'list', item: { kind: 'i64' }, itemNullable: true }, '[1]'],
]

/** Rows around one value, so that code is generated for the usual value and meets the odd one. */
function check(
  type: FieldType,
  usual: string,
  odds: readonly (string | Uint8Array)[],
  isNullable: boolean,
  inAnyOrder: boolean,
  isWanted: boolean,
): void {
  const fields: Field[] = [
    { name: 'first', type: { kind: 'i64' }, nullable: false },
    { name: 'value', type, nullable: isNullable },
    { name: 'last', type: { kind: 'string' }, nullable: false },
  ]
  const projection = isWanted ? [0, 1, 2] : [0, 2]
  // One odd record in five: with more of them the decoder gives its generated code up.
  const documents = odds.flatMap((odd, index) =>
    [usual, usual, odd, usual, usual].map((value, part) => document(value, index * 5 + part, inAnyOrder)),
  )
  // Enough room behind the last record, and none between them.
  const bytes = Buffer.concat([...documents, new Uint8Array(400)])
  let at = 0
  const starts = Int32Array.from(documents, (each) => (at += each.length) - each.length)
  const ends = Int32Array.from(documents, (each, index) => (starts[index] ?? 0) + each.length)
  for (const codegen of [true, false]) {
    const decoder = jsonDecoder(fields, projection, { codegen, warmUpRecords: 1 })
    const into = decoder.columns()
    // Twice: in the second batch the generated code is there from the first record on.
    for (let round = 0; round < 2; round++) decoder.decode(bytes, starts, ends, documents.length, into)
    documents.forEach((each, row) => {
      const wanted = projection.map((index) => fields[index] as Field)
      const expected = oracle(each, wanted)
      const text = `${each.toString('latin1')} ${JSON.stringify(type)}`
      assert.equal(into.status[row], expected.status, text)
      if (expected.status !== ROW_OK) return
      for (const index of projection) {
        const field = fields[index] as Field
        assert.deepEqual(columnValue(into.columns[index] ?? assert.fail('column'), field.type, row), expected.row[field.name], text)
      }
    })
  }
}

function document(value: string | Uint8Array, number: number, inAnyOrder: boolean): Buffer {
  const members = [
    Buffer.from(`"first":${number}`),
    Buffer.concat([Buffer.from('"value":'), Buffer.from(value)]),
    Buffer.from('"last":"x"'),
  ]
  if (inAnyOrder && number % 3 > 0) members.reverse()
  if (inAnyOrder && number % 4 === 3) members.push(members.shift() ?? assert.fail())
  return Buffer.concat([
    Buffer.from('{'),
    ...members.flatMap((member, index) => (index === 0 ? [member] : [Buffer.from(','), member])),
    Buffer.from('}'),
  ])
}

for (const inAnyOrder of [false, true]) {
  const order = inAnyOrder ? 'in any order' : 'in one order'
  test(`every odd value in the place of every usual one, ${order}`, () => {
    for (const [type, usual] of KINDS)
      for (const isNullable of [false, true])
        for (const isWanted of [false, true]) check(type, usual, ODD_VALUES, isNullable, inAnyOrder, isWanted)
  })

  test(`every byte at every place of a word in a string, ${order}`, () => {
    const strings = [0, 1, 2, 3, 4, 5].flatMap((place) =>
      Array.from({ length: 256 }, (_, byte) => Uint8Array.from([34, ...Array.from({ length: place }, () => 0x61), byte, 0x62, 0x63, 34])),
    )
    const pairs = [0x80, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4].flatMap((lead) =>
      [0x20, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0].map((next) => Uint8Array.from([34, 0x61, lead, next, 0x80, 0x80, 34])),
    )
    for (const isWanted of [false, true]) check({ kind: 'string' }, '"text"', [...strings, ...pairs], false, inAnyOrder, isWanted)
  })

  test(`numbers with every count of digits, ${order}`, () => {
    const digits = Array.from({ length: 22 }, (_, length) => '1234567890123456789012'.slice(0, length + 1))
    const numbers = digits.flatMap((text) => [
      text,
      `-${text}`,
      `0${text}`,
      `0.${text}`,
      `${text}.5`,
      `${text}.0`,
      `${text}e2`,
      `${text}E-2`,
      `${text}x`,
      `${text}.`,
      `-0.${text}`,
      `9${text.replaceAll(/\d/g, '9')}`,
      `0.000${text}`,
    ])
    for (const [type, usual] of KINDS.slice(1, 9))
      for (const isWanted of [false, true]) check(type, usual, numbers, false, inAnyOrder, isWanted)
  })
}

test('a member that comes twice in records of any order', () => {
  const members = ['"first":1', '"value":2', '"last":"x"']
  const texts = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [0, 1, 2, 1],
    [1, 0, 2, 0],
    [1, 0, 2, 2],
    [0, 2],
    [0, 1, 2, 0, 1, 2],
  ].map(
    (order) =>
      `{${order.map((index, place) => (place === 3 ? members[index]?.replace(/[12]$/, '7').replace('"x"', '"y"') : members[index])).join(',')}}`,
  )
  const fields: Field[] = [
    { name: 'first', type: { kind: 'i64' }, nullable: false },
    { name: 'value', type: { kind: 'i64' }, nullable: true },
    { name: 'last', type: { kind: 'string' }, nullable: false },
  ]
  const documents = texts.map((text) => Buffer.from(text))
  const bytes = Buffer.concat([...documents, new Uint8Array(400)])
  let at = 0
  const starts = Int32Array.from(documents, (each) => (at += each.length) - each.length)
  const ends = Int32Array.from(documents, (each, index) => (starts[index] ?? 0) + each.length)
  const decoder = jsonDecoder(fields, [0, 1, 2], { warmUpRecords: 1 })
  const into = decoder.columns()
  for (let round = 0; round < 2; round++) {
    decoder.decode(bytes, starts, ends, texts.length, into)
    documents.forEach((each, row) => {
      const expected = oracle(each, fields)
      for (const [index, field] of fields.entries())
        assert.deepEqual(columnValue(into.columns[index] ?? assert.fail('column'), field.type, row), expected.row[field.name], texts[row])
    })
  }
})
