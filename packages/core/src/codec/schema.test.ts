import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isMillraceError } from '../base/errors.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { fieldsOf, t, type Schema } from './schema.ts'
import { parseTime } from './time-text.ts'

function accepts(schema: Schema<unknown>, cases: readonly (readonly [unknown, unknown])[]): void {
  for (const [given, expected] of cases) assert.deepEqual(schema['~standard'].validate(given), { value: expected })
}
function refuses(schema: Schema<unknown>, cases: readonly unknown[]): void {
  for (const given of cases) {
    const result = schema['~standard'].validate(given)
    assert.ok('issues' in result && result.issues?.length === 1, `${String(given)} is refused`)
  }
}

test('whole numbers keep to their range, and one zero', () => {
  accepts(t.i32(), [
    [2147483647, 2147483647],
    [-0, 0],
    [1.0, 1],
  ])
  refuses(t.i32(), [2147483648, -2147483649, 1.5, '1', null, undefined, NaN, 1n, true])
  accepts(t.i64(), [[Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]])
  refuses(t.i64(), [2 ** 53, -(2 ** 53), Infinity, 0.5, 5n])
  accepts(t.bigint(), [
    [2 ** 53 - 1, BigInt(2 ** 53 - 1)],
    ['-9223372036854775808', -(2n ** 63n)],
    [7n, 7n],
  ])
  refuses(t.bigint(), ['9223372036854775808', 2 ** 60, '1.0', '', 'x', 1.5])
})

test('decimals are exact and are not rounded', () => {
  accepts(t.decimal(6, 2), [
    ['12.5', '12.50'],
    [0.1, '0.10'],
    ['-0', '0.00'],
    ['-1.20', '-1.20'],
    ['1e2', '100.00'],
    ['12.500', '12.50'],
    [9999.99, '9999.99'],
    [1e-2, '0.01'],
    [5n, '5.00'],
  ])
  refuses(t.decimal(6, 2), ['1.005', '10000', 1e300, '1e99999999999', '0.001', 'abc', '', true, NaN])
  accepts(t.decimal(3, 0), [
    ['007', '7'],
    ['0e999999999', '0'],
  ])
  assert.throws(() => t.decimal(19, 2), isMillraceError)
  assert.throws(() => t.decimal(3, 4), isMillraceError)
})

test('optional takes null and missing, and problems name their path', () => {
  const schema = t.object({ id: t.i64(), tags: t.list(t.object({ x: t.f64() })), note: t.optional(t.string()) })
  assert.deepEqual(schema['~standard'].validate({ id: 1, tags: [] }), { value: { id: 1, tags: [], note: null } })
  const result = schema['~standard'].validate({ id: 'x', tags: [{ x: 1 }, { x: 'y' }, 3] })
  assert.deepEqual('issues' in result && result.issues?.map((issue) => issue.path), [['id'], ['tags', 1, 'x'], ['tags', 2]])
  assert.equal(fieldsOf(schema)?.length, 3)
  assert.equal(fieldsOf(t.i64()), null)
})

test('only own properties are fields', () => {
  const schema = t.object({ constructor: t.optional(t.json()), toString: t.optional(t.string()) })
  assert.deepEqual(schema['~standard'].validate({}), { value: { constructor: null, toString: null } })
})

test('schemas that cannot describe a record are refused', () => {
  assert.throws(() => t.object({}), isMillraceError)
  assert.throws(() => t.object({ '': t.i64() }), isMillraceError)
  assert.throws(() => t.object({ ['__proto__']: t.i64() }), isMillraceError)
})

test('times in text mean what Date says of the same instant in full form', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      fc.integer({ min: -1439, max: 1439 }),
      (date, offset) => {
        const iso = date.toISOString()
        const ms = date.getTime()
        assert.equal(parseTime(iso), ms)
        assert.equal(parseTime(iso.replace('T', ' ').replace('Z', '')), ms)
        assert.equal(parseTime(iso.slice(0, 10)), new Date(iso.slice(0, 10)).getTime())
        const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0')
        const minutes = String(Math.abs(offset) % 60).padStart(2, '0')
        const local = new Date(ms + offset * 60_000).toISOString()
        if (/^\d{4}-/.test(local)) {
          for (const colon of [':', ''])
            assert.equal(parseTime(`${local.slice(0, -1)}${offset < 0 ? '-' : '+'}${hours}${colon}${minutes}`), ms)
        }
      },
    ),
  )
})

test('what is no time is refused', () => {
  for (const text of [
    '2001-02-29',
    '2001-13-01',
    '2001-00-10',
    '2001-1-1',
    '2001-01-01T24:00',
    '2001-01-01T10',
    '2001-01-01T10:60',
    '2001-01-01T10:00:60',
    '2001-01-01T10:00:00.',
    '2001-01-01T10:00:00.0123456789',
    '2001-01-01T10:00Zx',
    '2001-01-01T10:00+24:00',
    '2001-01-01T10:00+1',
    'now',
    '',
    '2001-01-01x10:00',
    '+2001-01-01',
    '１００１-01-01',
  ]) {
    assert.ok(Number.isNaN(parseTime(text)), text)
  }
  assert.equal(parseTime('2000-02-29T00:00:00,123456789z'), Date.UTC(2000, 1, 29) + 123)
  assert.equal(parseTime('2001-01-01T10:00:00.5+02'), Date.UTC(2001, 0, 1, 8) + 500)
})

test('base64 is canonical', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.deepEqual(decodeBase64(encodeBase64(bytes)), bytes)))
  fc.assert(
    fc.property(fc.string(), (text) => {
      const bytes = decodeBase64(text)
      if (bytes !== null) assert.equal(encodeBase64(bytes), text)
    }),
  )
  for (const text of ['A', 'AB==', 'AA=A', '=AAA', 'AAA', 'A-_A', 'AA==AAAA']) assert.equal(decodeBase64(text), null, text)
})

test('what is no type of t is refused with what to write', () => {
  const refusal = (make: () => unknown): string => {
    try {
      make()
    } catch (error) {
      if (isMillraceError(error)) return error.message
      throw error
    }
    return ''
  }
  assert.match(
    refusal(() => t.object({ url: t.string as never })),
    /the field `url` needs a type of `t`, such as `t\.string\(\)`: the parentheses are missing/,
  )
  for (const wrong of [undefined, null, 'string', String, { type: 'string' }]) {
    assert.match(
      refusal(() => t.object({ url: wrong as never })),
      /the field `url` needs a type of `t`/,
    )
    assert.match(
      refusal(() => t.list(wrong as never)),
      /`t\.list` needs a type of `t`/,
    )
    assert.match(
      refusal(() => t.optional(wrong as never)),
      /`t\.optional` needs a type of `t`/,
    )
  }
})
