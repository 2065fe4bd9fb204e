// Replay: a range of the sources through the pipeline again, beside the live one and without touching it. The copy has its own name, so its
// state, positions and internal topics are its own; what it writes goes to topics with the suffix `.replay-ID`; sinks run only on request.
// It starts from empty state and goes along the kept bindings of the live pipeline: same ticks, same ranges, same wall times, same clocks
// (ADR 0002, rule 10), so over the same code and the whole range it computes the same rows.
//
// Behind a `through` topic it runs on the replayed rows, those of the topic `NAME.replay-ID`, so that a change of the code in front of the
// topic shows behind it. Common ticks end at such a topic, in a replay as in the live run: kept bindings name offsets of the live topic, and
// mean nothing here. So the part behind begins when the parts that write the topic have ended, and binds anew, with the other sources of the
// same task bounded by the range; what others wrote to the live topic is not replayed. The order of each partition holds, every row is read
// once, and the watermark is moved by rows alone, so that no row is later than it was live by more than where ticks are cut.
//
// A range of event time is not a range of offsets: what a record says of its own time is known when it has been decoded, and the log's index
// knows only when it was collected. So such a replay reads what may hold rows of the range, follows the clocks of all of it, and leaves out
// the rows outside.
import type { FetchPosition, Log } from '../log/log.ts'
import type { Plan, PlanNode } from '../plan/node.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { RecordRows } from '../codec/record-rows.ts'
import { wholeFetchBytes } from './fetch-size.ts'
import { decodeProgress } from './exchange/progress.ts'
import type { Binding, ProgressEntry } from './exchange/progress.ts'
import { progressTopic } from './topic-names.ts'

/** Records of progress that are read between two turns of the event loop: some milliseconds. */
const TURN_RECORDS = 1024

export interface ReplayRange {
  /** By source topic and partition: offsets [from, to). */
  readonly topics: ReadonlyMap<string, readonly { readonly partition: number; readonly from: number; readonly to: number }[]>
  /** Of the rows there only those with an event time in [fromMs, toMs); default: all. */
  readonly eventTimes?: { readonly fromMs: number; readonly toMs: number }
}

/** Where a replay takes its ticks from. */
export interface ReplaySettings {
  readonly id: string
  /** Name of the live pipeline. */
  readonly of: string
  readonly range: ReplayRange
  /** Code version of the live pipeline: what it bound with another one may have had another disorder. Default: not known. */
  readonly codeVersion?: string
}

/** One tick of the live pipeline as it was bound, clipped to the range. */
export interface ReplayTick {
  readonly tick: number
  readonly wallMs: number
  readonly watermarkMs: number
  readonly status: ProgressEntry['status']
  readonly ranges: readonly {
    readonly topic: string
    readonly partition: number
    readonly to: number
    readonly refused: readonly number[]
    /** Nothing of it can be in the range of event times: it need not be read. */
    readonly isOutside: boolean
  }[]
}

/**
 * The plan under another name, with outputs beside the live ones.
 * @throws {MillraceError} `MR_PLAN_NOT_YET` when rows behind a `through` topic look up a table kept in a topic: the table would be at its end
 * before the first of them.
 */
export function replayPlan(plan: Plan, id: string, withSinks: boolean): Plan {
  refuseLookups(plan)
  const suffix = `.replay-${id}`
  const rename = (topic: AnyTopic): AnyTopic => ({ ...topic, name: `${topic.name}${suffix}` })
  const nodes = plan.nodes.map((node): PlanNode => {
    if (node.kind === 'to-topic' || node.kind === 'through') return { ...node, topic: rename(node.topic) }
    if (node.kind === 'to-sink') return { ...node, sink: node.sink.beside?.(suffix) ?? node.sink }
    return node
  })
  const dropped = new Set(withSinks ? [] : nodes.filter((node) => node.kind === 'to-sink').map((node) => node.id))
  if (dropped.size === 0) return { ...plan, pipeline: `${plan.pipeline}${suffix}`, nodes }
  return { ...plan, pipeline: `${plan.pipeline}${suffix}`, nodes: withoutNodes(nodes, dropped) }
}

function refuseLookups(plan: Plan): void {
  const behindThrough: boolean[] = []
  for (const node of plan.nodes) {
    behindThrough[node.id] = node.kind === 'through' || node.inputs.some((input) => behindThrough[input] === true)
    if (node.kind !== 'stream-table-join' || behindThrough[node.inputs[0] as number] !== true) continue
    const table = must(plan.nodes[node.inputs[1] as number], 'table of the join')
    if (table.kind !== 'table-source' || table.from.kind !== 'topic') continue
    throw new MillraceError('MR_PLAN_NOT_YET', {
      message: `a replay cannot place the changes of the table \`${table.from.name}\` among the rows that \`${node.name}\` gets from a \`through\` topic.`,
      fix: 'Join before the `through`, or take the table from a file; the live pipeline runs as it is.',
      details: { operator: node.name, ...(node.place === null ? {} : { place: node.place }) },
    })
  }
}

/** Ids are indexes, so what is behind a dropped node moves up. */
function withoutNodes(nodes: readonly PlanNode[], dropped: ReadonlySet<number>): readonly PlanNode[] {
  const moved = new Map<number, number>()
  for (const node of nodes) if (!dropped.has(node.id)) moved.set(node.id, moved.size)
  return nodes
    .filter((node) => !dropped.has(node.id))
    .map((node): PlanNode => ({
      ...node,
      id: must(moved.get(node.id), 'node'),
      inputs: node.inputs.map((input) => must(moved.get(input), 'input')),
    }))
}

/**
 * What a plan's sources hold between two times.
 * @param by Event time (default of the tools), which is that of the record where a topic declares none; or time of append.
 */
export async function rangeByTime(log: Log, plan: Plan, fromMs: number, toMs: number, by: 'event' | 'append'): Promise<ReplayRange> {
  const topics = new Map<string, { partition: number; from: number; to: number }[]>()
  for (const node of plan.nodes) {
    if (node.kind !== 'source') continue
    const list: { partition: number; from: number; to: number }[] = []
    for (const ends of log.ends(node.topic.name)) {
      const { partition } = ends
      const isIndexed = by === 'append' || node.topic.eventTime === null
      const from = isIndexed ? await log.offsetForTime(node.topic.name, partition, fromMs, by) : ends.start
      // Behind the first record at or after an event time there may be earlier ones; time of append only goes on.
      const to =
        by === 'append' && toMs !== Number.POSITIVE_INFINITY ? await log.offsetForTime(node.topic.name, partition, toMs, by) : ends.end
      list.push({ partition, from, to: Math.max(from, to) })
    }
    topics.set(node.topic.name, list)
  }
  const isWhole = fromMs <= 0 && toMs === Number.POSITIVE_INFINITY
  return by === 'append' || isWhole ? { topics } : { topics, eventTimes: { fromMs, toMs } }
}

/**
 * The kept ticks of one task of the live pipeline, oldest first, clipped to the range; ticks that bind nothing of it move clocks only.
 * @param disorderMs By topic, as the live pipeline has it.
 */
export async function keptTicks(
  log: Log,
  settings: ReplaySettings,
  part: string,
  group: number,
  disorderMs: ReadonlyMap<string, number>,
  scheduler: Scheduler,
): Promise<readonly ReplayTick[]> {
  const topic = progressTopic(settings.of, part)
  const ends = log.ends(topic).find((other) => other.partition === group)
  if (ends === undefined) throw new MillraceError('MR_REPLAY_NO_BINDINGS', { details: { pipeline: settings.of, part } })
  const reader = log.reader()
  const rows = new RecordRows()
  const ticks: ReplayTick[] = []
  let clock: ProgressEntry = { tick: 0, watermark: Number.NEGATIVE_INFINITY, wallMs: 0, status: 'active' }
  try {
    for (let offset = ends.start; offset < ends.end;) {
      const position: FetchPosition = { topic, partition: group, offset }
      const fetched = must((await reader.fetch([position], { bytesMax: wholeFetchBytes(log, topic, group) }))[0], 'progress fetch')
      if (fetched.error !== null) throw fetched.error
      const count = rows.read(fetched.bytes, offset)
      for (let row = 0; row < count; row++) {
        const record = decodeProgress(fetched.bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number)
        clock = record.entries.at(-1) ?? clock
        // A rebuild begins by stating its clocks under the tick before it, which is in the list: a tick is taken once.
        const next = ticksOf(record.bindings, clock, record.through, settings, disorderMs)
        ticks.push(...next.filter(({ tick }) => tick > (ticks.at(-1)?.tick ?? 0)))
        // Days of a busy pipeline are millions of ticks, and the live one goes on meanwhile.
        if (row % TURN_RECORDS === TURN_RECORDS - 1) await scheduler.turn()
      }
      if (fetched.next === offset) break
      offset = fetched.next
    }
    return ticks
  } finally {
    reader.close()
  }
}

function ticksOf(
  bindings: readonly Binding[],
  clock: ProgressEntry,
  through: number,
  { range, codeVersion }: ReplaySettings,
  disorderMs: ReadonlyMap<string, number>,
): readonly ReplayTick[] {
  const fromMs = range.eventTimes?.fromMs ?? Number.NEGATIVE_INFINITY
  const state = { watermarkMs: clock.watermark, status: clock.status }
  if (bindings.length === 0) return [{ tick: through, wallMs: clock.wallMs, ...state, ranges: [] }]
  return bindings.map((binding) => ({
    tick: binding.tick,
    wallMs: binding.wallMs,
    ...state,
    ranges: binding.ranges.flatMap((bound) => {
      const wanted = range.topics.get(bound.topic)?.find((other) => other.partition === bound.partition)
      const { topic, partition, refused } = bound
      if (wanted === undefined) return [{ topic, partition, to: bound.to, refused, isOutside: false }]
      // No row up to here was later than the watermark and the disorder: the range has not begun.
      const largestMs = bound.watermark + (disorderMs.get(topic) ?? Number.POSITIVE_INFINITY)
      const isOutside = binding.codeVersion === codeVersion && largestMs < fromMs
      const to = Math.min(bound.to, wanted.to)
      return to > Math.max(bound.from, wanted.from) ? [{ topic, partition, to, refused, isOutside }] : []
    }),
  }))
}
