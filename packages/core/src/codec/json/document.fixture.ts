// Random JSON documents as text for the decoder's property tests: the forms that one row can take, and what breaks it.
import fc from 'fast-check'
import type { Field } from '../column.ts'
import { rowOf } from '../arbitrary.fixture.ts'
import { encodeBase64 } from '../base64.ts'
import { jsonText } from './exact.ts'

/** A choice maker: the next number below `n`. */
type Pick = (n: number) => number

const SPACES = ['', '', '', ' ', '\n', '\t\r', '   ']
const EXTRA_KEYS = ['extra', '__proto__', 'constructor', 'id', '', 'ключ', 'a\\nb', '\\u0061', 'price', '\\ud800', '😀']
const EXTRA_VALUES = [
  '1',
  '-0',
  '1e400',
  '1E-7',
  '0.1',
  '"text"',
  '"\\u00e9\\n"',
  '"é😀"',
  'true',
  'false',
  'null',
  '{}',
  '[]',
  '[1,[2,{"a":null}]]',
  '{"x":{"y":"z"},"x":1}',
  '"\\ud800"',
  '123456789012345678901234567890',
  ' [ 1 , 2 ] ',
]
/** Values that are legal for some kind, and what looks like them. */
export const ODD_VALUES: readonly string[] = [
  '0',
  '-0',
  '1',
  '1.0',
  '1e3',
  '1e400',
  '-1e-400',
  '0.1',
  '0.30000000000000004',
  '5e-324',
  '1.7976931348623157e308',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '-9223372036854775808',
  '9223372036854775808',
  '2147483648',
  '-2147483649',
  '123456789012345',
  '1234567890123456',
  '0.000000000000001',
  '12.50',
  '12.500',
  '"12.5"',
  '"7"',
  '1e2',
  '01',
  '+1',
  '.5',
  '1.',
  '-',
  '1e',
  'NaN',
  'true',
  'false',
  'null',
  'tru',
  '""',
  '"x"',
  '"\\ud83d\\ude00"',
  '"\\udc00"',
  '"2001-02-03"',
  '"2001-02-03T04:05:06.789Z"',
  '"2001-02-30"',
  '"2001-02-03T04:05+01:00"',
  '[]',
  '[null]',
  '{}',
  '"AA=="',
  '"AAAA"',
  '"\u007f"',
  '"\t"',
  '2}',
  '"a"}',
  '2 ',
  ' 2',
  '"a" ',
]

/** JSON text of a value as a producer could write it: times as ISO-8601, characters escaped, spaces between. */
function textOf(value: unknown, pick: Pick): string {
  if (value instanceof Uint8Array) return `"${encodeBase64(value)}"`
  if (typeof value === 'string') {
    const text = JSON.stringify(value)
    if (pick(4) > 0) return text
    return `"${text.slice(1, -1).replace(/[a-z\u0080-\uffff]/gu, (char) => (pick(2) === 0 ? char : [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')))}"`.replace(
      /\\\\u/g,
      '\\\\u',
    )
  }
  if (Array.isArray(value)) return `[${value.map((item) => SPACES[pick(SPACES.length)] + textOf(item, pick)).join(',')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([key, part]) => `${JSON.stringify(key)}:${textOf(part, pick)}`)
      .join(',')}}`
  if (typeof value === 'number' && Number.isInteger(value) && pick(9) === 0) return `${value}.0`
  if (typeof value === 'number' && pick(9) === 0) return value.toExponential()
  return jsonText(value)
}

export type Style = 'plain' | 'odd' | 'shuffled' | 'wild'

/**
 *  The text of one document. `plain`: as JSON.stringify has it, in field order. `odd`: the same with unusual values.
 *  `shuffled`: odd, in another order and with some members left out. `wild`: anything that a row may look like, and what it may not.
 */
export function documentText(fields: readonly Field[], row: Readonly<Record<string, unknown>>, style: Style, pick: Pick): string {
  const wild = style === 'wild'
  const space = (): string => (wild && pick(6) === 0 ? (SPACES[pick(SPACES.length)] as string) : '')
  const members: string[] = []
  const add = (key: string, value: string): void => {
    const member = `${space()}"${key}"${space()}:${space()}${value}${space()}`
    if (style === 'shuffled' || (wild && pick(5) === 0)) members.splice(pick(members.length + 1), 0, member)
    else members.push(member)
  }
  for (const field of fields) {
    if ((wild || style === 'shuffled') && pick(14) === 0) continue
    const key = JSON.stringify(field.name).slice(1, -1)
    const value =
      style !== 'plain' && pick(12) === 0
        ? (ODD_VALUES[pick(ODD_VALUES.length)] as string)
        : style !== 'plain'
          ? textOf(row[field.name], pick)
          : plainText(row[field.name])
    add(wild && pick(40) === 0 ? key.replace(/^[a-z]/, (char) => `\\u00${char.charCodeAt(0).toString(16)}`) : key, value)
    if ((wild || style === 'shuffled') && pick(30) === 0) add(key, textOf(row[field.name], pick))
    if (wild && pick(6) === 0) add(EXTRA_KEYS[pick(EXTRA_KEYS.length)] as string, EXTRA_VALUES[pick(EXTRA_VALUES.length)] as string)
  }
  const tail = wild && pick(40) === 0 ? ['x', '}', ',', '\u0000', '{}', '//'][pick(6)] : ''
  return `${space()}{${members.join(',')}${wild && pick(60) === 0 ? ',' : ''}}${space()}${tail}`
}

function plainText(value: unknown): string {
  if (value instanceof Uint8Array) return `"${encodeBase64(value)}"`
  if (Array.isArray(value)) return `[${value.map(plainText).join(',')}]`
  if (Object.is(value, -0)) return '-0' // JSON.stringify drops the sign, JSON.parse keeps it
  if (typeof value !== 'object' || value === null) return jsonText(value)
  return `{${Object.entries(value)
    .map(([key, part]) => `${JSON.stringify(key)}:${plainText(part)}`)
    .join(',')}}`
}

/** Bytes of a document with some of them changed, cut off or repeated. */
export function mutate(bytes: Uint8Array, pick: Pick): Uint8Array {
  const copy = Uint8Array.from(bytes)
  if (copy.length === 0) return copy
  const at = pick(copy.length)
  switch (pick(6)) {
    case 0:
      copy[at] = (copy[at] as number) ^ (1 << pick(8))
      return copy
    case 1:
      return copy.slice(0, at)
    case 2:
      copy[at] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x2c, 0x3a, 0x30, 0x2d, 0xc3, 0xff, 0x00, 0x20, 0x80, 0x9f][pick(15)] as number
      return copy
    case 3:
      return Uint8Array.from([...copy.slice(0, at), ...copy.slice(pick(at + 1))])
    case 4:
      return copy.slice(at)
    default:
      return Uint8Array.from([...copy.slice(0, at), pick(256), ...copy.slice(at)])
  }
}

export interface DocumentBatch {
  readonly fields: Field[]
  readonly documents: readonly (Uint8Array | null)[]
  readonly projection: readonly number[]
  readonly padding: number
}

/** Batches in which most documents share a layout and some are wild or broken; a null is a record without a value. */
export function documentBatch(fields: fc.Arbitrary<Field[]>): fc.Arbitrary<DocumentBatch> {
  return fields.chain((found) =>
    fc
      .record({
        rows: fc.array(rowOf(found), { minLength: 1, maxLength: 14 }),
        isShuffled: fc.boolean(),
        wildOf: fc.constantFrom(0, 0, 0, 1, 2, 4),
        projected: fc.array(fc.boolean(), { minLength: found.length, maxLength: found.length }),
        choices: fc.array(fc.nat(), { minLength: 40, maxLength: 400 }),
        padding: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constant(400)),
      })
      .map(({ rows, isShuffled, wildOf, projected, choices, padding }) => {
        let next = 0
        const pick: Pick = (n) => (choices[next++ % choices.length] as number) % n
        const documents = rows.map((row) => {
          if (pick(30) === 29) return null
          const style = pick(4) < wildOf ? 'wild' : isShuffled ? 'shuffled' : pick(2) === 0 ? 'plain' : 'odd'
          const bytes = new TextEncoder().encode(documentText(found, row, style, pick))
          return style !== 'plain' && pick(4) === 0 ? mutate(bytes, pick) : bytes
        })
        return { fields: found, documents, projection: [...found.keys()].filter((index) => projected[index] === true), padding }
      }),
  )
}

/** Documents behind each other in one buffer, as in a fetched batch, with noise between them. */
export function layOut(batch: DocumentBatch): { readonly bytes: Uint8Array; readonly starts: Int32Array; readonly ends: Int32Array } {
  const starts: number[] = []
  const ends: number[] = []
  const all: number[] = []
  batch.documents.forEach((document, index) => {
    for (let gap = 0; gap < index % 5; gap++) all.push([0x22, 0x31, 0x7d, 0x2c, 0xc3][gap] as number)
    starts.push(document === null ? -1 : all.length)
    if (document !== null) all.push(...document)
    ends.push(document === null ? -1 : all.length)
  })
  for (let index = 0; index < batch.padding; index++) all.push(0x31)
  return { bytes: Uint8Array.from(all), starts: Int32Array.from(starts), ends: Int32Array.from(ends) }
}
