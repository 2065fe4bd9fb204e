// Scalar expressions over the fields of a row: data only, so that they can be generated as JavaScript, interpreted, printed and hashed.
// Semantics are SQL's: null in, null out, except for `is-null`, `coalesce`, `and`, `or` (three-valued) and `case`.

export type Literal = string | number | bigint | boolean | null

export type BinaryOperator = 'add' | 'subtract' | 'multiply' | 'divide' | 'modulo' | 'equal' | 'not-equal' | 'less' | 'less-equal' | 'greater' | 'greater-equal' | 'and' | 'or'

export type ScalarFunction = 'floor' | 'ceil' | 'round' | 'abs' | 'lower' | 'upper' | 'length' | 'starts-with' | 'concat' | 'date' | 'truncate-time' | 'to-string' | 'to-number'

export type Expression =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: Literal }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly operand: Expression }
  | { readonly kind: 'negate'; readonly operand: Expression }
  | { readonly kind: 'is-null'; readonly operand: Expression }
  | { readonly kind: 'in'; readonly operand: Expression; readonly values: readonly Literal[] }
  | { readonly kind: 'coalesce'; readonly operands: readonly Expression[] }
  | { readonly kind: 'case'; readonly branches: readonly { readonly when: Expression; readonly then: Expression }[]; readonly otherwise: Expression }
  | { readonly kind: 'call'; readonly name: ScalarFunction; readonly operands: readonly Expression[] }
