// Scalar expressions over the fields of a row: data only, so that they can be generated as JavaScript, interpreted, printed and hashed.
// Semantics are SQL's: null in, null out, except for `is-null`, `coalesce`, `and`, `or` (three-valued) and `case`.
// Numbers are JavaScript's: `divide` always gives f64 (7 / 2 = 3.5), a division by zero gives null, `modulo` has the sign of the dividend.
// Functions: `date(time)` is 'YYYY-MM-DD' in UTC; `truncate-time(time, unitMs)` rounds down to a multiple of unitMs; `length` counts UTF-16
// units; `to-number` of a text that is no number is null; `round` is half away from zero. plan/expression-type.ts gives each its type.

export type Literal = string | number | bigint | boolean | null

export type BinaryOperator =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'modulo'
  | 'equal'
  | 'not-equal'
  | 'less'
  | 'less-equal'
  | 'greater'
  | 'greater-equal'
  | 'and'
  | 'or'

export type ScalarFunction =
  | 'floor'
  | 'ceil'
  | 'round'
  | 'abs'
  | 'lower'
  | 'upper'
  | 'length'
  | 'starts-with'
  | 'concat'
  | 'date'
  | 'truncate-time'
  | 'to-string'
  | 'to-number'

export type Expression =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: Literal }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'negate'; readonly operand: Expression }
  | { readonly kind: 'is-null'; readonly operand: Expression }
  | { readonly kind: 'in'; readonly operand: Expression; readonly values: readonly Literal[] }
  | { readonly kind: 'coalesce'; readonly operands: readonly Expression[] }
  | {
      readonly kind: 'case'
      readonly branches: readonly { readonly when: Expression; readonly then: Expression }[]
      readonly otherwise: Expression
    }
  | { readonly kind: 'call'; readonly name: ScalarFunction; readonly operands: readonly Expression[] }
