// Random pipelines for properties: a list of small edits, applied to whatever streams there are.
import fc from 'fast-check'
import type { Stream } from './stream.ts'
import { count, max, sum } from './aggregates.ts'
import { expr } from './expression.ts'
import { pipeline, type PipelineDefinition } from './pipeline.ts'
import { topic } from './topic.ts'
import { tumbling } from './window.ts'
import { t } from '../codec/schema.ts'

const value = t.object({ at: t.time(), user: t.string(), n: t.i64(), x: t.optional(t.f64()) })
interface Row {
  readonly at: number
  readonly user: string
  readonly n: number
  readonly x: number | null
}

/** One step: what to do, to which of the streams so far, with which number in it. */
export interface Step {
  readonly kind:
    'filter' | 'lambda' | 'select' | 'map' | 'key' | 'dedupe' | 'scan' | 'aggregate' | 'window' | 'table' | 'topic' | 'merge' | 'branch'
  readonly at: number
  readonly n: number
  readonly named: boolean
}

const KINDS = [
  'filter',
  'lambda',
  'select',
  'map',
  'key',
  'dedupe',
  'scan',
  'aggregate',
  'window',
  'table',
  'topic',
  'merge',
  'branch',
] as const

/** Steps of a pipeline. */
export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), at: fc.nat(20), n: fc.integer({ min: 1, max: 3 }), named: fc.boolean() }),
  { maxLength: 14 },
)

/** The pipeline of the steps. `rename` gives each explicit name; the identity by default. Every stream stays of type Row. */
export function build(list: readonly Step[], rename: (name: string) => string = (name) => name): PipelineDefinition {
  return pipeline('random', (mill) => {
    const streams: Stream<unknown, Row>[] = [mill.from(topic('in', { value, eventTime: 'at' })) as Stream<unknown, Row>]
    const bare = streams[0] as Stream<unknown, Row>
    ;(bare as Stream<null, Row>).keyBy('user').toTable('last')
    for (const [index, step] of list.entries()) {
      const stream = (streams[step.at % streams.length] ?? bare) as Stream<null, Row>
      const next = apply(stream, bare as Stream<null, Row>, step, index, rename)
      if (next !== null) streams.push(next as Stream<unknown, Row>)
    }
  })
}

function apply(stream: Stream<null, Row>, source: Stream<null, Row>, step: Step, index: number, rename: (name: string) => string): unknown {
  const options = step.named ? { name: rename(`op${index}`) } : {}
  const { n } = step
  switch (step.kind) {
    case 'filter':
      return stream.filter(
        expr((row) => row.n.gt(n)),
        options,
      )
    case 'lambda':
      return stream.filter((row) => row.n > 1, options)
    case 'select':
      return stream.select({ at: 'at', user: 'user', n: expr((row) => row.n.plus(n)), x: 'x' }, options)
    case 'map':
      return stream.map((row) => ({ ...row }), { ...options, value })
    case 'key':
      return stream.keyBy('user', options)
    case 'dedupe':
      return stream.dedupe({ by: 'user', withinMs: n, ...options })
    case 'scan':
      return stream.scan(
        () => 0,
        (state, row) => ({ state, rows: [row] }),
        { by: 'user', value, ...options },
      )
    case 'aggregate':
      stream
        .groupBy('user')
        .aggregate({ n: count(), x: max('x') }, options)
        .toTable(rename(`table${index}`))
      return null
    case 'window':
      stream
        .groupBy('user')
        .window(tumbling({ sizeMs: n * 1_000 }))
        .aggregate({ n: sum('n') }, { ...options, emit: 'close' })
        .to(topic(`out${index}`, { value: t.object({ user: t.string(), n: t.i64() }) }))
      return null
    case 'table':
      stream.toTable(rename(`table${index}`), { key: 'user' })
      return null
    case 'topic':
      stream.to(topic(`out${index}`, { value }), options)
      return null
    case 'merge':
      return stream.merge(source, options)
    case 'branch':
      return stream.branch({ big: (row) => row.n > 2, small: expr((row) => row.n.lt(n)) }, options).small
  }
}
