import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Column, Field } from '../codec/column.ts'
import type { Expression } from '../plan/expression.ts'
import { columnsOf } from '../codec/column-builder.ts'
import { columnValue } from '../codec/column-value.ts'
import { compileExpression, compilePredicate } from './expression.ts'

const FIELDS: readonly Field[] = [
  { name: 'n', type: { kind: 'f64' }, nullable: false },
  { name: 'm', type: { kind: 'f64' }, nullable: true },
  { name: 'i', type: { kind: 'i32' }, nullable: true },
  { name: 's', type: { kind: 'string' }, nullable: false },
  { name: 'z', type: { kind: 'string' }, nullable: true },
  { name: 'b', type: { kind: 'bool' }, nullable: true },
]

const number = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, min: -1e6, max: 1e6 }))
const text = fc.constantFrom('', 'a', 'ab', 'B', 'ä', '😀', '￿', '12', ' -3.5 ', 'x1')
const row = fc.record({
  n: number,
  m: fc.option(number),
  i: fc.option(fc.integer({ min: -9, max: 9 })),
  s: text,
  z: fc.option(text),
  b: fc.option(fc.boolean()),
})

const field = (name: string): Expression => ({ kind: 'field', name })
const literal = (value: string | number | boolean): Expression => ({ kind: 'literal', value })

const expressions = fc.letrec<{ number: Expression; text: Expression; bool: Expression }>((tie) => ({
  number: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    fc.constantFrom(field('n'), field('m'), field('i')),
    number.map(literal),
    fc.record({
      kind: fc.constant('binary' as const),
      operator: fc.constantFrom('add' as const, 'subtract' as const, 'multiply' as const, 'divide' as const, 'modulo' as const),
      left: tie('number'),
      right: tie('number'),
    }),
    fc.record({ kind: fc.constant('negate' as const), operand: tie('number') }),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('floor' as const, 'ceil' as const, 'round' as const, 'abs' as const),
      operands: fc.tuple(tie('number')),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('length' as const, 'to-number' as const),
      operands: fc.tuple(tie('text')),
    }),
    fc.record({ kind: fc.constant('coalesce' as const), operands: fc.tuple(tie('number'), tie('number')) }),
    fc.record({
      kind: fc.constant('case' as const),
      // oxlint-disable-next-line unicorn/no-thenable -- data of an expression, never awaited
      branches: fc.tuple(fc.record({ when: tie('bool'), then: tie('number') })),
      otherwise: tie('number'),
    }),
  ),
  text: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    fc.constantFrom(field('s'), field('z')),
    text.map(literal),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('lower' as const, 'upper' as const),
      operands: fc.tuple(tie('text')),
    }),
    fc.record({ kind: fc.constant('call' as const), name: fc.constant('concat' as const), operands: fc.tuple(tie('text'), tie('text')) }),
    fc.record({ kind: fc.constant('call' as const), name: fc.constant('to-string' as const), operands: fc.tuple(tie('number')) }),
    fc.record({ kind: fc.constant('call' as const), name: fc.constant('date' as const), operands: fc.tuple(tie('number')) }),
  ),
  bool: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'e' },
    fc.constant(field('b')),
    fc.boolean().map(literal),
    fc.record({
      kind: fc.constant('binary' as const),
      operator: fc.constantFrom('and' as const, 'or' as const),
      left: tie('bool'),
      right: tie('bool'),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      operator: fc.constantFrom(
        'equal' as const,
        'not-equal' as const,
        'less' as const,
        'less-equal' as const,
        'greater' as const,
        'greater-equal' as const,
      ),
      left: tie('number'),
      right: tie('number'),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      operator: fc.constantFrom('equal' as const, 'not-equal' as const, 'less' as const, 'greater-equal' as const),
      left: tie('text'),
      right: tie('text'),
    }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('bool') }),
    fc.record({ kind: fc.constant('is-null' as const), operand: fc.oneof(tie('number'), tie('text'), tie('bool')) }),
    fc.record({
      kind: fc.constant('in' as const),
      operand: tie('text'),
      values: fc.array(fc.oneof(text, fc.constant(null)), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('in' as const), operand: tie('number'), values: fc.array(number, { maxLength: 3 }) }),
  ),
}))

/** The text columns in another layout with the same values. */
function relaid(columns: readonly Column[], layout: 'bytes' | 'slice' | 'dictionary', count: number): Column[] {
  return columns.map((column) => {
    if (column.layout !== 'bytes' || layout === 'bytes') return column
    const { data, offsets, validity } = column
    if (layout === 'slice') return { layout, starts: offsets.slice(0, count), ends: offsets.slice(1, count + 1), data, validity }
    // One entry per row, repeated values included: a dictionary need not be minimal.
    return {
      layout,
      ids: Int32Array.from({ length: count }, (_, index) => index),
      dictionary: { layout: 'bytes', data, offsets, validity: null },
      dictionaryCount: count,
      validity,
    }
  })
}

function batchOf(columns: readonly Column[], rowCount: number): Batch {
  return {
    rowCount,
    columns,
    times: new Float64Array(rowCount),
    weights: null,
    selected: null,
    selectedCount: rowCount,
    origin: null,
    originRows: null,
    values: null,
  }
}

const cases = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 12 }),
  layout: fc.constantFrom('bytes' as const, 'slice' as const, 'dictionary' as const),
  keep: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
})

test('law: generated predicates select the same rows as interpreted ones', () => {
  fc.assert(
    fc.property(expressions.bool, cases, (expression, { rows, layout, keep }) => {
      const batch = batchOf(relaid(columnsOf(FIELDS, rows), layout, rows.length), rows.length)
      const live = Int32Array.from(rows.keys()).filter((index) => keep[index] === true)
      const [a, b] = [new Int32Array(rows.length), new Int32Array(rows.length)]
      const generated = compilePredicate(expression, FIELDS, true).select(batch, live, live.length, a)
      const interpreted = compilePredicate(expression, FIELDS, false).select(batch, live, live.length, b)
      assert.deepEqual(a.slice(0, generated), b.slice(0, interpreted))
    }),
    { numRuns: 2000 },
  )
})

test('law: generated columns hold the same values as interpreted ones', () => {
  fc.assert(
    fc.property(fc.oneof(expressions.number, expressions.text, expressions.bool), cases, (expression, { rows, layout, keep }) => {
      const batch = batchOf(relaid(columnsOf(FIELDS, rows), layout, rows.length), rows.length)
      const live = Int32Array.from(rows.keys()).filter((index) => keep[index] === true)
      const generated = compileExpression(expression, FIELDS, true)
      const interpreted = compileExpression(expression, FIELDS, false)
      const a = generated.evaluate(batch, live, live.length)
      const b = interpreted.evaluate(batch, live, live.length)
      for (const index of live) assert.deepEqual(columnValue(a, generated.type, index), columnValue(b, interpreted.type, index))
    }),
    { numRuns: 2000 },
  )
})
