// Between the fluent classes and the plan builder: arguments of a method become a plan node.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import type { Field } from '../codec/column.ts'
import { fieldsOf } from '../codec/schema.ts'
import type { Expression } from '../plan/expression.ts'
import type { Lambda, PlanNode } from '../plan/node.ts'
import type { NodeDraft } from '../plan/derive.ts'
import type { PlanBuilder } from '../plan/plan.ts'
import { refusePlan, type PlanPlace } from '../plan/shape.ts'
import { placeOfCall, type Caller } from '../base/place-of-call.ts'

/** One call of a method of the typed API. */
export interface Call {
  readonly builder: PlanBuilder
  /** Node that the method was called on; null for the pipeline itself. */
  readonly input: number | null
  /** Word for messages: the method's name. */
  readonly method: string
  readonly place: string | null
}

/** Starts a call: notes the user's line. `callee` is the public method that is running. */
export function startCall(builder: PlanBuilder, input: number | null, method: string, callee: Caller): Call {
  return { builder, input, method, place: placeOfCall(callee) }
}

/** Where the call stands, for messages before its node has a name. */
export function placeOf(call: Call): PlanPlace {
  const name = call.input === null ? call.method : `${call.builder.node(call.input).name}.${call.method}`
  return { operator: name, place: call.place }
}

/** Refuses options that nobody knows, with the nearest known one. */
export function checkOptions(call: Call, given: unknown, known: readonly string[]): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null)
    refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), `the options of \`${call.method}\` must be an object.`)
  for (const option of Object.keys(given)) {
    if (known.includes(option)) continue
    const near = nearestWord(option, known)
    refusePlan(
      'MR_PLAN_SETTING_INVALID',
      placeOf(call),
      `\`${call.method}\` has no option \`${option}\`${near === null ? '' : `; did you mean \`${near}\`?`}`,
    )
  }
}

/** Refuses a feature that has its place but is not built, by its name. */
export function notYet(call: Call, feature: string, instead: string): never {
  return refusePlan('MR_PLAN_NOT_YET', placeOf(call), `${feature} are not there yet.`, instead)
}

/** Checks that a lambda is one and that its result is there when it returns. */
export function lambdaOf(call: Call, value: unknown): Lambda {
  if (typeof value !== 'function') refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), `\`${call.method}\` needs a function.`)
  const { name } = value.constructor
  if (name === 'AsyncFunction' || name === 'AsyncGeneratorFunction')
    notYet(call, 'async edges (a lambda that waits for something)', 'Use a lambda that is not async; enrich from a table with `join`.')
  return value as Lambda
}

/** The expression of an `expr(...)`, or null for anything else. */
export function expressionOf(value: unknown): Expression | null {
  const given = value as { readonly kind?: unknown; readonly expression?: Expression } | null | undefined
  return typeof value === 'object' && given?.kind === 'expr' && given.expression !== undefined ? given.expression : null
}

/** A predicate: a lambda or an expression. */
export function predicateOf(call: Call, value: unknown): Lambda | Expression {
  return expressionOf(value) ?? lambdaOf(call, value)
}

/** Field names or one lambda. */
export function byOf(call: Call, value: unknown): readonly string[] | Lambda {
  if (typeof value === 'function') return lambdaOf(call, value)
  return namesOf(call, value)
}

/** One name or a list of names. */
export function namesOf(call: Call, value: unknown): readonly string[] {
  const names = typeof value === 'string' ? [value] : value
  if (!Array.isArray(names) || names.length === 0 || !names.every((name) => typeof name === 'string')) {
    refusePlan('MR_PLAN_KEY_MISSING', placeOf(call), `\`${call.method}\` needs the name of a field, or several.`)
  }
  return names as readonly string[]
}

/** A whole number of milliseconds. */
export function millisecondsOf(call: Call, option: string, value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    refusePlan(
      'MR_PLAN_SETTING_INVALID',
      placeOf(call),
      `\`${option}\` must be a whole number of milliseconds from ${least}, not \`${String(value)}\`.`,
    )
  }
  return value as number
}

/** Columns that a `value` schema declares for a lambda's result; null without one. */
export function declaredFields(call: Call, value: unknown): readonly Field[] | null {
  if (value === undefined) return null
  const fields = fieldsOf(value)
  if (fields === null) {
    refusePlan(
      'MR_PLAN_SHAPE_OPEN',
      placeOf(call),
      '`value` of an operator must be a `t.object` schema: its fields become the columns.',
      'Describe the result with `t.object({ ... })`, or leave `value` out.',
    )
  }
  return fields
}

/** Appends the node of a call. */
export function append(
  call: Call,
  draft: NodeDraft,
  options: {
    readonly name?: string | undefined
    readonly declared?: readonly Field[] | null
    readonly derivedName?: string
    readonly stem?: string
  } = {},
): PlanNode {
  const { name, ...rest } = options
  return call.builder.append(draft, { name: name ?? null, place: call.place, ...rest })
}

/** Refuses a stream of another pipeline. */
export function refuseForeign(call: Call, other: PlanBuilder): void {
  if (other === call.builder) return
  throw new MillraceError('MR_PLAN_FINISHED', {
    message: `\`${call.method}\` was given a stream of another pipeline.`,
    details: { operator: placeOf(call).operator, ...(call.place === null ? {} : { place: call.place }) },
    fix: 'Connect pipelines through a topic: `to(topic)` in one, `from(topic)` in the other.',
  })
}
