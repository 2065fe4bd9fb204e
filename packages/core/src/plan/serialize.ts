// A plan as JSON: stored on the log when a pipeline starts, and compared with the next one by `diff`. Lambdas stand as their source text.
// Invariants: what is stored does not depend on the machine, on the time or on the order in which independent parts were written, except
// for `place`, which is for people; object keys are in a fixed order, so that equal plans have equal texts.
import { MillraceError } from '../base/errors.ts'
import type { Field } from '../codec/column.ts'
import type { AnySink } from '../connect/sink.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { hashText } from './hash-text.ts'
import type { Lambda, PipelineSettings, Plan, PlanNode } from './node.ts'
import { fieldsOfShape } from './shape.ts'

/** Version of the stored form. */
export const STORED_PLAN_FORMAT = 1

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** A node as it is stored. Inputs are names: positions mean nothing outside one plan. */
export interface StoredNode {
  readonly name: string
  readonly kind: PlanNode['kind']
  readonly inputs: readonly string[]
  readonly mode: PlanNode['mode']
  readonly key: readonly string[] | null
  /** Null: an open shape. */
  readonly fields: readonly Field[] | null
  readonly place: string | null
  /** Everything else that the node says; lambdas are `{ lambda: source text }`. */
  readonly says: { readonly [name: string]: Json }
}

/** A plan as it is stored. */
export interface StoredPlan {
  readonly format: typeof STORED_PLAN_FORMAT
  readonly pipeline: string
  readonly settings: PipelineSettings
  readonly nodes: readonly StoredNode[]
}

const BASE: ReadonlySet<string> = new Set(['id', 'name', 'kind', 'inputs', 'mode', 'key', 'shape', 'place'])

function lambdaJson(lambda: Lambda): Json {
  return { lambda: String(lambda) }
}

function topicJson(topic: AnyTopic): Json {
  const { name, format, fields, eventTime, disorderMs, keyField, partitions, retentionMs, compacted, validate } = topic
  return toJson({
    kind: 'topic',
    name,
    format,
    fields,
    foreign: topic.foreignSchema !== null,
    eventTime,
    disorderMs,
    keyField,
    partitions,
    retentionMs,
    compacted,
    validate,
    private: topic.private,
  })
}

/** Settings of a sink that are data; functions and clients that were handed in are left out. */
function sinkJson(sink: AnySink): Json {
  return toJson({
    kind: 'sink',
    type: sink.spec.type,
    guarantee: sink.guarantee,
    acceptsUpdates: sink.acceptsUpdates,
    settings: sink.settings,
  })
}

/** Any part of a node as JSON. Objects lose undefined values and what is not data; bigints become text with a mark. */
function toJson(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : { number: String(value) }
  if (typeof value === 'bigint') return { bigint: String(value) }
  if (typeof value === 'function') return lambdaJson(value as Lambda)
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object') return null
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return { object: value.constructor.name }
  const given = value as { readonly [name: string]: unknown }
  if (given['kind'] === 'topic' && 'foreignSchema' in given) return topicJson(value as AnyTopic)
  if (given['kind'] === 'sink' && 'spec' in given) return sinkJson(value as AnySink)
  return Object.fromEntries(
    Object.keys(given)
      .filter((name) => given[name] !== undefined)
      .sort()
      .map((name) => [name, toJson(given[name])]),
  )
}

function storedNode(node: PlanNode, plan: Plan): StoredNode {
  const says: { [name: string]: Json } = {}
  for (const [name, value] of Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!BASE.has(name) && value !== undefined) says[name] = toJson(value)
  }
  const inputs = node.inputs.map((input) => plan.nodes[input]?.name ?? '')
  return {
    name: node.name,
    kind: node.kind,
    inputs,
    mode: node.mode,
    key: node.key,
    fields: fieldsOfShape(node.shape),
    place: node.place,
    says,
  }
}

/** The plan as data that `JSON.stringify` keeps whole. */
export function serializePlan(plan: Plan): StoredPlan {
  return {
    format: STORED_PLAN_FORMAT,
    pipeline: plan.pipeline,
    settings: plan.settings,
    nodes: plan.nodes.map((node) => storedNode(node, plan)),
  }
}

/**
 * A stored plan from its text.
 * @throws {MillraceError} `MR_LOG_FORMAT_NEWER` when it was written by a newer version, `MR_LOG_CORRUPT` when it is not a stored plan.
 */
export function parseStoredPlan(text: string): StoredPlan {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new MillraceError('MR_LOG_CORRUPT', { message: 'the stored plan is not JSON.', cause })
  }
  const plan = value as Partial<StoredPlan> | null
  if (typeof plan?.format === 'number' && plan.format > STORED_PLAN_FORMAT) {
    throw new MillraceError('MR_LOG_FORMAT_NEWER', {
      message: 'the stored plan was written by a newer version.',
      details: { format: plan.format },
    })
  }
  if (plan?.format !== STORED_PLAN_FORMAT || !Array.isArray(plan.nodes))
    throw new MillraceError('MR_LOG_CORRUPT', { message: 'the stored plan is damaged.' })
  return plan as StoredPlan
}

/** Hash of what a node means, without its place: equal when an edit changed nothing about it. */
export function nodeHash(node: StoredNode): string {
  return hashText(JSON.stringify({ ...node, place: null }))
}
