// Expressions as text that people read: in `millrace plan`, in messages and in golden plans.
import type { BinaryOperator, Expression, Literal } from './expression.ts'

const SIGNS: Readonly<Record<BinaryOperator, string>> = {
  add: '+',
  subtract: '-',
  multiply: '*',
  divide: '/',
  modulo: '%',
  equal: '=',
  'not-equal': '<>',
  less: '<',
  'less-equal': '<=',
  greater: '>',
  'greater-equal': '>=',
  and: 'and',
  or: 'or',
}

function literalText(value: Literal): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value)
}

/** The expression in infix form; every operand that is an operation itself stands in parentheses. */
export function expressionText(expression: Expression): string {
  const inner = (operand: Expression): string => (operand.kind === 'binary' ? `(${expressionText(operand)})` : expressionText(operand))
  switch (expression.kind) {
    case 'field':
      return expression.name
    case 'literal':
      return literalText(expression.value)
    case 'binary':
      return `${inner(expression.left)} ${SIGNS[expression.operator]} ${inner(expression.right)}`
    case 'not':
      return `not ${inner(expression.operand)}`
    case 'negate':
      return `-${inner(expression.operand)}`
    case 'is-null':
      return `${inner(expression.operand)} is null`
    case 'in':
      return `${inner(expression.operand)} in (${expression.values.map(literalText).join(', ')})`
    case 'coalesce':
      return `coalesce(${expression.operands.map(expressionText).join(', ')})`
    case 'case':
      return `case ${expression.branches.map((branch) => `when ${expressionText(branch.when)} then ${expressionText(branch.then)}`).join(' ')} else ${expressionText(expression.otherwise)}`
    case 'call':
      return `${expression.name}(${expression.operands.map(expressionText).join(', ')})`
  }
}
