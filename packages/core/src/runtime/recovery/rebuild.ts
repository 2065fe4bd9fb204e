// Decides before a pipeline starts whether its state is built again, and orders it (rebuild-order.ts).
import type { Topology } from '../../compile/topology.ts'
import type { LogPart } from '../../log/log.ts'
import type { MillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { boardParts } from '../exchange/board-parts.ts'
import { encodeProgress } from '../exchange/progress.ts'
import { ProgressBoard } from '../exchange/progress-board.ts'
import { changelogTopic, progressTopic } from '../topic-names.ts'
import { REBUILD_KEY } from './changelog.ts'
import { firstDamage, stateDamaged } from './damage.ts'
import { type RebuildOrder, encodeRebuildOrder } from './rebuild-order.ts'
import type { RestoreEnvironment } from './changelog-reader.ts'
import { isFedSink } from './restore.ts'
import { type StoredState, storedState } from './stored-state.ts'

/** What a start with `rebuild` finds. */
export interface RebuildNeed {
  /** Stored state has another layout than the pipeline wants. */
  readonly isChanged: boolean
  /** The first damage that keeps a task from being restored. */
  readonly damage: MillraceError | null
  /** This version was told before to build its state again, and a task has not begun to yet, or the start was cut off behind it. */
  readonly isOrdered: boolean
}

/** Looks at the state of all tasks. `isWhole`: reads it to the end, because damage shows only then. */
export async function rebuildNeed(environment: RestoreEnvironment, isWhole: boolean): Promise<RebuildNeed> {
  const found: StoredState[] = []
  for (const part of environment.topology.parts)
    for (let group = 0; group < part.groups; group++) found.push(await storedState(environment, part, group, isWhole))
  const { codeVersion } = environment.topology
  const damage = found.find((other) => other.damage !== null)?.damage ?? null
  return {
    // A task that has yet to do an order begins with empty state, whatever layout lies there.
    isChanged: found.some(({ isChanged, isOrderOpen }) => isChanged && !isOrderOpen),
    damage: damage ?? (isWhole ? await damageBetween(environment) : null),
    isOrdered:
      found.length > 0 &&
      found.every(({ order, isOrderOpen, last }) =>
        // An order that is done may have been trimmed: the commits behind it tell of it.
        isOrderOpen ? order?.codeVersion === codeVersion : last?.codeVersion === codeVersion && last.rebuiltTick !== undefined,
      ),
  }
}

/** Damage of what lies between tasks, and of the intents of sinks that the source's task writes. What a sink has yet to take is not looked at. */
async function damageBetween({ log, topology, plan }: RestoreEnvironment): Promise<MillraceError | null> {
  for (const part of topology.parts) {
    const between = part.sink === null ? part.inputs.flatMap((input) => (input.kind === 'exchange' ? [input.topic] : [])) : []
    const intents = part.sink !== null && part.sink.output !== null ? [changelogTopic(plan.pipeline, part.sink.name)] : []
    for (const topic of [...between, ...intents]) {
      for (const { partition } of log.ends(topic)) {
        const damage = await firstDamage(log, topic, partition)
        if (damage !== null) return stateDamaged(`${part.name}/${partition % part.groups}`, plan.pipeline, damage)
      }
    }
  }
  return null
}

/**
 * Tells every task, in one step, to begin with empty state at the start of the sources. No task of the pipeline may run. `noted` is appended
 * in the same step.
 */
export async function orderRebuild(environment: RestoreEnvironment, noted: readonly LogPart[]): Promise<void> {
  const { log, clock, topology, plan } = environment
  const board = new ProgressBoard(log, boardParts(topology))
  try {
    await board.open()
    const parts: LogPart[] = [...noted]
    for (const part of topology.parts) {
      for (let group = 0; group < part.groups; group++) {
        const builder = new RecordBatchBuilder(512)
        const reached = board.reachedBy(part.name, group)
        const tick = board.newest()
        const order = encodeRebuildOrder({ v: 1, codeVersion: topology.codeVersion, tick, reached })
        builder.append(REBUILD_KEY, order, clock.nowMs())
        parts.push({ topic: changelogTopic(plan.pipeline, part.name), partition: group, batch: builder.finish() })
        if (!isFedSink(part)) parts.push(startsOver(plan.pipeline, part.name, group, tick, reached, clock.nowMs()))
      }
    }
    await log.append(parts)
  } finally {
    board.close()
  }
  await trimExchanges(topology, log)
}

/** The task's clock begins anew, too: by that of before, what another producer reads again would be late. */
function startsOver(
  pipeline: string,
  part: string,
  group: number,
  tick: number,
  reached: RebuildOrder['reached'],
  wallMs: number,
): LogPart {
  const builder = new RecordBatchBuilder(512)
  const entries = [{ tick, watermark: Number.NEGATIVE_INFINITY, wallMs, status: 'active' as const }]
  const record = { through: tick, entries, bindings: [], reached, waitsFor: Number.POSITIVE_INFINITY, wants: 0 }
  builder.append(null, encodeProgress(record), wallMs)
  return { topic: progressTopic(pipeline, part), partition: group, batch: builder.finish() }
}

/** What is on its way between tasks comes again; a sink takes what is left in its feed. */
async function trimExchanges(topology: Topology, log: RestoreEnvironment['log']): Promise<void> {
  for (const part of topology.parts) {
    if (part.sink !== null) continue
    for (const input of part.inputs)
      if (input.kind === 'exchange') for (const { topic, partition, end } of log.ends(input.topic)) await log.trim(topic, partition, end)
  }
}
