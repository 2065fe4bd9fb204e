// What a query may ask of a key field: a value that the field cannot hold is refused, since any other row would be the wrong one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import type { FieldType } from '../codec/column.ts'
import { keyAsked } from './table-values.ts'

const NO_NUMBER = [
  '',
  ' ',
  '%20',
  'x',
  'NaN',
  'Infinity',
  '-Infinity',
  '1e400',
  '0x10',
  '0b1',
  '1_000',
  ' 1',
  '1 ',
  '1,5',
  '--1',
  [],
  {},
  true,
]
const NOT_WHOLE = [...NO_NUMBER, '1.5', 1.5, '1e-1', Number.NaN, Number.POSITIVE_INFINITY]
const UNSAFE = ['9007199254740992', '-9007199254740992', '18446744073709551616', 2 ** 53, 2n ** 53n, '1e16']

const CASES: readonly {
  readonly type: FieldType
  readonly good: readonly (readonly [unknown, unknown])[]
  readonly wrong: readonly unknown[]
}[] = [
  {
    type: { kind: 'i32' },
    good: [
      ['0', 0],
      ['-7', -7],
      [7, 7],
      ['1e3', 1000],
      ['1.0', 1],
      ['2147483647', 2 ** 31 - 1],
      ['-2147483648', -(2 ** 31)],
    ],
    wrong: [...NOT_WHOLE, ...UNSAFE, '2147483648', '-2147483649', 2 ** 31],
  },
  {
    type: { kind: 'i64' },
    good: [
      ['0', 0],
      ['-7', -7],
      [7n, 7],
      ['9007199254740991', Number.MAX_SAFE_INTEGER],
      ['-9007199254740991', Number.MIN_SAFE_INTEGER],
    ],
    wrong: [...NOT_WHOLE, ...UNSAFE],
  },
  {
    type: { kind: 'i64', big: true },
    good: [
      ['9007199254740993', 9007199254740993n],
      ['-9223372036854775808', -(2n ** 63n)],
      [7, 7n],
    ],
    wrong: [...NOT_WHOLE, '9223372036854775808', '18446744073709551616'],
  },
  {
    type: { kind: 'f64' },
    good: [
      ['0', 0],
      ['-1.5', -1.5],
      ['1e300', 1e300],
      ['.5', 0.5],
      ['5.', 5],
      [0.1, 0.1],
    ],
    wrong: [...NO_NUMBER, Number.NaN, Number.POSITIVE_INFINITY],
  },
  {
    type: { kind: 'time' },
    good: [
      ['0', 0],
      [7, 7],
      ['1767268860000', 1_767_268_860_000],
      ['2026-01-01T12:01:00Z', 1_767_268_860_000],
      ['2026-01-01', Date.UTC(2026, 0, 1)],
    ],
    wrong: [
      '',
      ' ',
      'x',
      'x 1',
      '1.5',
      1.5,
      '1e3',
      '2026-02-30',
      '2026-02-30T00:00:00Z',
      'Jan 1 2026',
      Number.NaN,
      2 ** 53,
      '99999999999999999999',
    ],
  },
  {
    type: { kind: 'bool' },
    good: [
      ['true', true],
      ['false', false],
      [true, true],
      [false, false],
    ],
    wrong: ['', 'yes', 'no', '1', '0', 'TRUE', 1, 0],
  },
  {
    type: { kind: 'string' },
    good: [
      ['', ''],
      [' ', ' '],
      ['x', 'x'],
    ],
    wrong: [],
  },
]

test('a value that the field cannot hold is refused, with the field and what was expected', () => {
  for (const { type, good, wrong } of CASES) {
    const field = { name: 'id', type, nullable: false }
    for (const [asked, value] of good) assert.deepEqual(keyAsked(field, asked, 'orders'), value, `${type.kind} ${String(asked)}`)
    for (const asked of [...wrong, null, undefined])
      assert.throws(
        () => keyAsked(field, asked, 'orders'),
        (error) => {
          assert.ok(isMillraceError(error))
          assert.deepEqual([error.code, error.details['table'], error.details['field']], ['MR_TABLE_KEY_INVALID', 'orders', 'id'])
          assert.equal(typeof error.details['expected'], 'string')
          return true
        },
        `${type.kind} ${JSON.stringify(asked, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part))}`,
      )
  }
})
