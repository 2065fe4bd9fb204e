import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constant, expr, t, when } from '../index.ts'
import type { Expr } from '../index.ts'
import { expressionText } from '../plan/expression-text.ts'
import { typeOfExpression } from '../plan/expression-type.ts'
import { typeText } from '../plan/shape.ts'

interface Row {
  a: number
  n: number | null
  f: number
  at: number
  big: bigint
  s: string
  u: string | null
  ok: boolean
  any: unknown
}
const schema = t.object({
  a: t.i32(),
  n: t.optional(t.i64()),
  f: t.f64(),
  at: t.time(),
  big: t.bigint(),
  s: t.string(),
  u: t.optional(t.string()),
  ok: t.bool(),
  any: t.json(),
})
const shape = { fields: [...schema.fields, { name: 'v', type: { kind: 'variant' as const }, nullable: true }] }
const at = { operator: 'test', place: null }

/** Expression, its text, its type (`?` when it may be null). */
const CASES: readonly (readonly [Expr<Row, unknown>, string, string])[] = [
  [expr((r) => r.a.plus(1).times(r.f)), '(a + 1) * f', 'f64'],
  [expr((r) => r.a.plus(1)), 'a + 1', 'i64'],
  [expr((r) => r.big.minus(1n)), 'big - 1n', 'bigint'],
  [expr((r) => r.a.dividedBy(2)), 'a / 2', 'f64?'],
  [expr((r) => r.a.modulo(2)), 'a % 2', 'i64?'],
  [expr((r) => r.n.negate().abs()), 'abs(-n)', 'i64?'],
  [expr((r) => r.f.floor().plus(r.n)), 'floor(f) + n', 'f64?'],
  [expr((r) => r.at.plus(1_000)), 'at + 1000', 'time'],
  [expr((r) => r.at.minus(r.at)), 'at - at', 'i64'],
  [expr((r) => r.at.truncate(3_600_000)), 'truncate-time(at, 3600000)', 'time'],
  [expr((r) => r.at.date()), 'date(at)', 'string'],
  [expr((r) => r.n.gt(1).and(r.ok).or(r.u.eq('x').not())), '((n > 1) and ok) or not (u = "x")', 'bool?'],
  [expr((r) => r.u.isNull()), 'u is null', 'bool'],
  [expr((r) => r.s.in(['a', 'b'])), 's in ("a", "b")', 'bool'],
  [expr((r) => r.u.orElse('none').upper()), 'upper(coalesce(u, "none"))', 'string'],
  [expr((r) => r.s.concat('-', r.u)), 'concat(s, "-", u)', 'string?'],
  [expr((r) => r.s.toNumber()), 'to-number(s)', 'f64?'],
  [expr((r) => r.a.toText().length()), 'length(to-string(a))', 'i64'],
  [expr((r) => r.s.startsWith('x')), 'starts-with(s, "x")', 'bool'],
  [
    expr((r) => when(r.a.gte(15), 'late').when(r.ok, r.s).otherwise('on time')),
    'case when a >= 15 then "late" when ok then s else "on time"',
    'string',
  ],
  [expr((r) => when(r.a.gt(1), 1).otherwise(null)), 'case when a > 1 then 1 else null', 'i64?'],
  [expr((r) => constant(0).lt(r.a)), '0 < a', 'bool'],
]

for (const [built, text, type] of CASES) {
  test(`${text} is ${type}`, () => {
    assert.equal(expressionText(built.expression), text)
    const typed = typeOfExpression(built.expression, shape, at)
    assert.equal(typeText(typed.type) + (typed.nullable ? '?' : ''), type)
  })
}

test('a field of an unknown type is a number where a number is needed, and may then be null', () => {
  const typed = typeOfExpression(
    { kind: 'binary', operator: 'add', left: { kind: 'field', name: 'v' }, right: { kind: 'literal', value: 1 } },
    shape,
    at,
  )
  assert.deepEqual([typed.type.kind, typed.nullable], ['f64', true])
})

test('what does not fit is refused', () => {
  const refused: readonly (readonly [Expr<Row, unknown>, RegExp])[] = [
    [expr((r) => r.a.eq('x' as never)), /`equal` compares i32 with string/],
    [expr((r) => (r.s as never as typeof r.a).plus(1)), /`add` needs a number, and `s` is string/],
    [expr((r) => (r.a as never as typeof r.s).lower()), /`lower` needs a text, and `a` is i32/],
    [expr((r) => (r.any as never as typeof r.a).gt(1)), /cannot compare json/],
    [expr((r) => r.ok.and(r.a as never)), /`and` needs true or false, and `a` is i32/],
    [expr((r) => when(r.ok, 1).otherwise('x' as never)), /the branches of `case` are i64 and string/],
  ]
  for (const [built, says] of refused) assert.throws(() => typeOfExpression(built.expression, shape, at), says)
})

test('a lambda is not an expression', () => {
  assert.throws(() => expr((() => true) as never), /must return a value built from its row/)
  assert.throws(() => expr<Row, unknown>((r) => r.a.gt(Number.NaN)), /not a finite number/)
})

test('a long chain of conditions is typed in one walk', () => {
  const long = expr<Row, boolean | null>((r) => Array.from({ length: 500 }, (_, i) => r.a.eq(i)).reduce((all, one) => all.or(one)))
  assert.equal(typeOfExpression(long.expression, shape, at).type.kind, 'bool')
})
