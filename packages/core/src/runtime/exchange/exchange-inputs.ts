// The exchanges that a task reads: taken together, whole ticks only, tables before streams, each in plan order (ADR 0002, rules 13-18).
import type { Batch } from '../../codec/column.ts'
import type { SubTopology } from '../../compile/topology.ts'
import type { CommitState } from '../recovery/commit-state.ts'
import type { TaskEnvironment } from '../environment.ts'
import type { TaskCore } from '../task/task-core.ts'
import type { InputStatus } from '../task-loop.ts'
import { must } from '../../base/assert.ts'
import { ExchangeInput } from './exchange-input.ts'
import { exchangeRows } from './exchange-rows.ts'

/** Bytes held per exchange. Behind it gathering goes on only while no tick is complete, and holds heads alone (exchange-input.ts). */
const CREDIT_BYTES = 256 * 1024 * 1024
/** Topics are trimmed below the committed position in steps of this time, not at every commit. */
const TRIM_EVERY_MS = 1000
/** A task that only passes ticks over states its progress after so many, so that nobody keeps old clocks for it. */
export const PASSED_OVER_MAX = 1024

interface OpenExchange {
  /** Among the inputs of the part. */
  readonly index: number
  readonly input: ExchangeInput
}

export class ExchangeInputs {
  /** Parts that write them. */
  readonly producers: readonly string[]
  readonly #environment: TaskEnvironment
  readonly #exchanges: readonly OpenExchange[]
  readonly #trimmed = new Map<string, number>()
  #trimmedAt = 0

  /** Opens the exchanges where the task's newest commit left them. */
  constructor({ environment, part, group, state }: TaskCore) {
    const open = (isTable: boolean): readonly OpenExchange[] =>
      part.inputs.flatMap((_, index) => {
        const input = feedsTable(environment, part, index) === isTable ? openInput(environment, part, group, state, index) : null
        return input === null ? [] : [{ index, input }]
      })
    this.#environment = environment
    this.#exchanges = [...open(true), ...open(false)]
    this.producers = [...new Set(this.#exchanges.map(({ input }) => input.spec.producer))]
  }

  /** Calls `wake` when records have come. Returns what ends it. */
  subscribe(wake: () => void): readonly (() => void)[] {
    return this.#exchanges.map(({ input }) => this.#environment.log.onAppend(input.spec.topic, wake))
  }

  /** Gathers what is there, up to the credit. */
  async gather(): Promise<void> {
    for (const { input } of this.#exchanges) await input.gather()
  }

  /** Newest tick that is complete here. */
  frontier(): number {
    return Math.min(...this.#exchanges.map(({ input }) => input.frontier()))
  }

  /** The oldest tick that has rows here; infinity when nothing is gathered. */
  firstTick(): number {
    return Math.min(...this.#exchanges.map(({ input }) => input.firstTick()))
  }

  /** To be awaited before the oldest tick is taken. */
  async load(tick: number): Promise<void> {
    for (const { input } of this.#exchanges) await input.load(tick)
  }

  /** Hands over the rows of the oldest tick in order and counts them as applied. */
  *take(tick: number): Generator<{ readonly index: number; readonly batch: Batch }> {
    for (const { index, input } of this.#exchanges)
      for (const pending of input.take(tick)) for (const batch of exchangeRows(input.spec, pending.bytes)) yield { index, batch }
  }

  /** To be committed. */
  positions(): CommitState['exchanges'] {
    return this.#exchanges.map(({ input }) => ({ topic: input.spec.topic, positions: input.positions() }))
  }

  /** Frees what the committed positions have passed. */
  async trim(): Promise<void> {
    const { clock, log } = this.#environment
    if (clock.monotonicMs() - this.#trimmedAt < TRIM_EVERY_MS) return
    this.#trimmedAt = clock.monotonicMs()
    for (const { topic, positions } of this.positions()) {
      for (const { partition, offset } of positions) {
        const id = `${topic}/${partition}`
        if ((this.#trimmed.get(id) ?? 0) >= offset) continue
        this.#trimmed.set(id, offset)
        await log.trim(topic, partition, offset)
      }
    }
  }

  lag(): number {
    return this.#exchanges.reduce((sum, { input }) => sum + input.lag(this.#environment.log), 0)
  }

  status(): readonly InputStatus[] {
    const { board, clock: own, log } = this.#environment
    return this.#exchanges.map(({ input }) => ({
      input: input.spec.topic,
      kind: 'exchange',
      lag: input.lag(log),
      waitingMs: input.waitingMs(own.nowMs()),
      partitions: [],
      producers: Array.from({ length: input.producerGroups }, (_, group) => {
        const clock = board.clockOf(input.spec.producer, group)
        return {
          task: `${input.spec.producer}/${group}`,
          through: board.through(input.spec.producer, group),
          watermarkMs: clock.watermark,
          status: clock.status,
        }
      }),
    }))
  }

  close(): void {
    for (const { input } of this.#exchanges) input.close()
  }
}

function openInput(
  environment: TaskEnvironment,
  part: SubTopology,
  group: number,
  state: CommitState,
  index: number,
): ExchangeInput | null {
  const spec = part.inputs[index]
  if (spec?.kind !== 'exchange') return null
  const producer = must(
    environment.topology.parts.find((other) => other.name === spec.producer),
    `part ${spec.producer}`,
  )
  const options = {
    group,
    groups: part.groups,
    producerGroups: producer.groups,
    producerOutput: spec.producerOutput,
    creditBytes: CREDIT_BYTES,
    // A sink takes what is left in its feed once more, in case its source no longer has it.
    skipThrough: part.sink === null ? (state.rebuiltTick ?? 0) : 0,
  }
  const positions = state.exchanges.find((entry) => entry.topic === spec.topic)?.positions ?? []
  return new ExchangeInput(environment.log, environment.board, spec, options, positions)
}

/** Whether an input holds rows of a table that a join of the part reads. */
function feedsTable({ plan }: TaskEnvironment, part: SubTopology, input: number): boolean {
  return part.edges.some(
    ({ from, to }) =>
      'input' in from && from.input === input && 'node' in to && plan.nodes[to.node]?.kind === 'stream-table-join' && to.input === 1,
  )
}
