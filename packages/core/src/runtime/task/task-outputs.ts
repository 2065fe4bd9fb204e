// Where the rows of a task go: to its exchanges and topics, whose batches wait for the commit, and to its sink, which takes them at once.
import type { Batch } from '../../codec/column.ts'
import type { InputSpec, OutputSpec, SubTopology } from '../../compile/topology.ts'
import type { LogPart } from '../../log/log.ts'
import type { TaskEnvironment } from '../environment.ts'
import type { CommitState } from '../recovery/commit-state.ts'
import { must } from '../../base/assert.ts'
import { ExchangeOutput } from '../exchange/exchange-output.ts'
import type { TickLetters } from './tick-letters.ts'
import { TopicOutput } from './topic-output.ts'

/** Who reads an exchange. */
interface Reader {
  readonly part: string
  readonly groups: number
  readonly isSink: boolean
}

export class TaskOutputs {
  readonly #environment: TaskEnvironment
  readonly #part: SubTopology
  readonly #letters: TickLetters
  readonly #readers: ReadonlyMap<string, Reader>
  readonly #exchanges = new Map<number, ExchangeOutput>()
  readonly #topics = new Map<number, TopicOutput>()
  #sinkPort: ((batch: Batch) => void) | null = null

  constructor(environment: TaskEnvironment, part: SubTopology, letters: TickLetters) {
    this.#environment = environment
    this.#part = part
    this.#letters = letters
    this.#readers = readersByTopic(environment, part)
  }

  /** Opens exchanges and topics where `state` left them. */
  open(group: number, state: CommitState): void {
    for (const [index, output] of this.#part.outputs.entries()) {
      if (output.kind === 'exchange') this.#exchanges.set(index, this.#exchange(output, group, runningOf(state, output.topic, index)))
      else if (output.kind === 'topic') this.#topics.set(index, this.#topic(output))
    }
  }

  #exchange(output: Extract<OutputSpec, { kind: 'exchange' }>, group: number, running: readonly number[]): ExchangeOutput {
    const reader = readerOf(this.#environment, output.topic)
    return new ExchangeOutput(output, group, running, (batch, row, error) => this.#letters.reject(reader, 0, batch, row, error, true))
  }

  #topic(output: Extract<OutputSpec, { kind: 'topic' }>): TopicOutput {
    const { compiler, codegen, log } = this.#environment
    const { name } = output.topic
    const encoder = compiler.recordEncoder(output, codegen)
    const { batchBytesMax } = must(log.topic(name), name).settings
    return new TopicOutput(output, encoder, batchBytesMax, (batch, row, error) => this.#letters.reject(output.name, 0, batch, row, error))
  }

  /** Where rows for the part's sink go, once its writer is open. Their memory is used again when the call returns. */
  openSink(port: (batch: Batch) => void): void {
    this.#sinkPort = port
  }

  push(output: number, batch: Batch): void {
    const exchange = this.#exchanges.get(output)
    if (exchange !== undefined) exchange.push(batch)
    else if (this.#part.outputs[output]?.kind === 'sink') this.toSink(batch)
    else must(this.#topics.get(output), `output ${output}`).push(batch)
  }

  toSink(batch: Batch): void {
    must(this.#sinkPort, 'the writer of the sink')(batch)
  }

  /** False: nobody reads what the task states. */
  get hasReaders(): boolean {
    return this.#readers.size > 0
  }

  /** ADR 0002, rule 25. A sink's feed has no bound but the disk: its outage must stop nothing else. */
  hasRoom(): boolean {
    const { aheadBytes, board } = this.#environment
    for (const exchange of this.#exchanges.values()) {
      const reader = must(this.#readers.get(exchange.topic), `reader of ${exchange.topic}`)
      if (reader.isSink) continue
      if (!exchange.hasRoom(aheadBytes, (partition) => board.through(reader.part, partition % reader.groups))) return false
    }
    return true
  }

  startTick(tick: number): void {
    for (const exchange of this.#exchanges.values()) exchange.startTick(tick)
  }

  endTick(): void {
    for (const exchange of this.#exchanges.values()) exchange.endTick()
    for (const topic of this.#topics.values()) topic.endTick()
  }

  /** What the commit takes. */
  take(): readonly LogPart[] {
    const parts: LogPart[] = []
    for (const exchange of this.#exchanges.values()) parts.push(...exchange.take())
    for (const topic of this.#topics.values()) parts.push(...topic.take())
    return parts
  }

  /** Running numbers reached, per output and partition. */
  running(): CommitState['running'] {
    return this.#part.outputs.map((_, index) => this.#exchanges.get(index)?.reached() ?? [])
  }
}

/** What a topic's output has reached. Outputs come and go with edits of the pipeline: an exchange is known by its topic. */
function runningOf(state: CommitState, topic: string, index: number): readonly number[] {
  const at = state.outputs === undefined ? index : state.outputs.indexOf(topic)
  return state.running[at] ?? []
}

/**
 * The running numbers with their topics. Those of exchanges that the part no longer writes stay behind: an edit may bring the exchange back,
 * and its reader skips what it has applied.
 */
export function runningByTopic(
  before: CommitState,
  part: SubTopology,
  running: CommitState['running'],
): Pick<CommitState, 'outputs' | 'running'> {
  const outputs = part.outputs.map((output) => (output.kind === 'exchange' ? output.topic : null))
  const gone = (before.outputs ?? []).flatMap((topic, at) => (topic === null || outputs.includes(topic) ? [] : [at]))
  if (gone.length === 0) return { outputs, running }
  return {
    outputs: [...outputs, ...gone.map((at) => before.outputs?.[at] ?? null)],
    running: [...running, ...gone.map((at) => before.running[at] ?? [])],
  }
}

/** Which part reads each exchange that `part` writes. */
function readersByTopic(environment: TaskEnvironment, part: SubTopology): ReadonlyMap<string, Reader> {
  const own = new Set(part.outputs.flatMap((output) => (output.kind === 'exchange' ? [output.topic] : [])))
  const readers = new Map<string, Reader>()
  for (const other of environment.topology.parts) {
    for (const input of other.inputs)
      if (isExchange(input) && own.has(input.topic))
        readers.set(input.topic, { part: other.name, groups: other.groups, isSink: other.sink !== null })
  }
  return readers
}

/** The operator or sink behind an exchange: what dead letters name when a row cannot be handed on to it. */
function readerOf(environment: TaskEnvironment, topic: string): string {
  for (const part of environment.topology.parts) {
    const index = part.inputs.findIndex((input) => isExchange(input) && input.topic === topic)
    if (index < 0) continue
    const edge = part.edges.find(({ from, to }) => 'input' in from && from.input === index && 'node' in to)
    const node = edge !== undefined && 'node' in edge.to ? environment.plan.nodes[edge.to.node] : undefined
    return part.sink?.name ?? node?.name ?? topic
  }
  return topic
}

function isExchange(input: InputSpec): input is Extract<InputSpec, { kind: 'exchange' }> {
  return input.kind === 'exchange'
}
