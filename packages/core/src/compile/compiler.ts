// The compiler as the runtime is given it.
import type { Plan, PlanNode } from '../plan/node.ts'
import type { Expression } from '../plan/expression.ts'
import type { Compiler } from './instantiate.ts'
import { neededFields } from '../plan/rewrite.ts'
import { fileTableRows } from './file-table.ts'
import { instantiate } from './instantiate-topology.ts'
import { recordEncoder } from './record-encoder.ts'
import { sourceDecoder } from './source-decoder.ts'
import { stores } from './stores.ts'

export const compiler: Compiler = {
  neededFields,
  stores,
  instantiate,
  sourceDecoder(plan, input, codegen) {
    const names = dictionaryNames(plan)
    const dictionary = (input.topic.fields ?? []).flatMap((field, index) =>
      field.type.kind === 'string' && names.has(field.name) && input.needed.includes(index) ? [index] : [],
    )
    return sourceDecoder(input.topic, { needed: input.needed, dictionary, table: input.table, codegen })
  },
  fileTable: fileTableRows,
  recordEncoder,
}

/** Fields by which somebody groups or that are compared with constant texts: for them a dictionary pays, since each distinct text is hashed or compared once. */
function dictionaryNames(plan: Plan): ReadonlySet<string> {
  const names = new Set<string>()
  for (const node of plan.nodes) {
    if (node.kind === 'aggregate' && Array.isArray(node.groupBy)) for (const name of node.groupBy as readonly string[]) names.add(name)
    for (const expression of expressionsOf(node)) comparedTexts(expression, names)
  }
  return names
}

function expressionsOf(node: PlanNode): readonly Expression[] {
  if (node.kind === 'filter') return typeof node.predicate === 'function' ? [] : [node.predicate]
  if (node.kind === 'branch') return node.predicates.flatMap((predicate) => (typeof predicate === 'function' ? [] : [predicate]))
  return []
}

function comparedTexts(expression: Expression, names: Set<string>): void {
  if (expression.kind === 'binary') {
    const sides = [expression.left, expression.right]
    const text = sides.some((side) => side.kind === 'literal' && typeof side.value === 'string')
    for (const side of sides) if (text && side.kind === 'field') names.add(side.name)
    for (const side of sides) comparedTexts(side, names)
  }
  if (expression.kind === 'not') comparedTexts(expression.operand, names)
  if (expression.kind === 'in' && expression.operand.kind === 'field') names.add(expression.operand.name)
}
