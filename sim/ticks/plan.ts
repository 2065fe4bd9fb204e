/**
 * What runs: stages of task groups joined by exchanges, drawn at random from a seed. Owns the static facts that the protocol needs
 * (who reads whom, whose ticks a task must answer); holds no state. A source topic is read by exactly one stage, its binder.
 */
import { below, chance, pick, randomFrom } from './random.ts'
import type { Random } from './random.ts'

export const KEYS = 8

export type OperatorKind = 'map' | 'join' | 'count' | 'window'

/** One source partition that a task binds. */
export interface OwnedPartition {
  readonly partition: number
  readonly input: number
  readonly table: boolean
}

/** One producer of a task: the batches it receives on `channel` from task `producer`. */
export interface Feed {
  readonly producer: number
  readonly channel: number
  readonly input: number
  readonly table: boolean
  /** Which of the producer's pairs this is: the index into its `reached` numbers. */
  readonly pair: number
}

/** One (producer group, reader group) pair: the unit in which running numbers and room are counted. */
export interface Pair {
  readonly channel: number
  readonly reader: number
}

export interface TaskPlan {
  readonly id: number
  readonly stage: number
  readonly operator: OperatorKind
  readonly owned: OwnedPartition[]
  /** In plan order of the inputs, then by producer. */
  readonly feeds: Feed[]
  /** Input numbers in the order of application: tables first. */
  readonly order: number[]
  /** Per exchange written: the index of its first pair and the number of reader groups. */
  readonly outs: { readonly firstPair: number; readonly groups: number }[]
  readonly pairs: Pair[]
  /** Everyone downstream of this task, itself left out. */
  descendants: number[]
  /** Rule 11: the tasks whose `through` this task must answer, and those whose `wants`. */
  answersThrough: number[]
  answersWants: number[]
}

export interface Scenario {
  readonly seed: number
  readonly tasks: TaskPlan[]
  readonly channelCount: number
  readonly partitions: { readonly bounded: boolean }[]
  readonly disorderMs: number
  readonly idleMs: number
  readonly heartbeatMs: number
  readonly cadenceMs: number
  readonly windowMs: number
  readonly tickRowsMax: number
  readonly aheadRows: number
  /** Rows that a task holds of its exchanges before it looks whether a tick is complete (rule 26). */
  readonly creditRows: number
  /** True: a commit becomes visible partition by partition, as with Kafka's markers. False: at once, as in the embedded log. */
  readonly gradual: boolean
  readonly skewMs: number[]
  /** The mutant `fire-at-start`: windows fire by the watermark before the tick, in protocol and oracle alike. */
  readonly firesBefore: boolean
  /** A task that the scheduler picks sixteen times less often than the others, or -1. */
  readonly slow: number
}

interface StageDraft {
  readonly operator: OperatorKind
  readonly groups: number
  readonly inputs: { readonly from: number; readonly partitions: number[]; readonly table: boolean }[]
}

function draftStages(random: Random, partitions: { bounded: boolean }[]): StageDraft[] {
  const wide = chance(random, 5)
  const stageCount = 2 + below(random, wide ? 1 : 3)
  const stages: StageDraft[] = []
  const unread = new Set<number>()
  const source = (table: boolean): StageDraft['inputs'][number] => {
    const first = partitions.length
    const count = 1 + below(random, 3)
    const bounded = chance(random, 25)
    for (let index = 0; index < count; index++) partitions.push({ bounded })
    return { from: -1, partitions: Array.from({ length: count }, (_, index) => first + index), table }
  }
  for (let index = 0; index < stageCount; index++) {
    const operator =
      index === 0
        ? pick(random, ['map', 'map', 'count'] as const)
        : pick(random, ['map', 'join', 'join', 'count', 'window', 'window'] as const)
    const inputs: StageDraft['inputs'][number][] = []
    const earlier = [...unread]
    if (index === 0 || (earlier.length === 0 && chance(random, 50)) || (index < stageCount - 1 && chance(random, 30)))
      inputs.push(source(false))
    else {
      const from = earlier.length > 0 ? pick(random, earlier) : below(random, index)
      inputs.push({ from, partitions: [], table: false })
      unread.delete(from)
      if (chance(random, 30) || index === stageCount - 1) {
        for (let other = 0; other < index; other++) {
          if (other === from || !(unread.has(other) || chance(random, 25))) continue
          inputs.push({ from: other, partitions: [], table: false })
          unread.delete(other)
        }
      }
    }
    if (operator === 'join') {
      const used = new Set(inputs.map((input) => input.from))
      const free = stages.map((_, stage) => stage).filter((stage) => !used.has(stage))
      const table = free.length > 0 && chance(random, 50) ? { from: pick(random, free), partitions: [], table: true } : source(true)
      unread.delete(table.from)
      if (chance(random, 50)) inputs.push(table)
      else inputs.unshift(table)
    } else if (index > 0 && chance(random, 15)) inputs.push(source(false))
    const groups = wide && index === 0 ? 16 : pick(random, [1, 2, 2, 3])
    stages.push({ operator, groups, inputs })
    unread.add(index)
  }
  return stages
}

/** Draws a scenario: topology, settings and the clocks' skews. Equal seeds give equal scenarios. */
export function drawScenario(seed: number): Scenario {
  const random = randomFrom(seed)
  const partitions: { bounded: boolean }[] = []
  const stages = draftStages(random, partitions)
  const { tasks, channelCount } = placeTasks(stages)
  const wrongClocks = chance(random, 40)
  const skewMs = tasks.map(() => (wrongClocks && chance(random, 50) ? (below(random, 7) - 3) * 3_600_000 : below(random, 9) - 4))
  return {
    seed,
    tasks,
    channelCount,
    partitions,
    skewMs,
    disorderMs: 10,
    idleMs: 40,
    heartbeatMs: 1000,
    cadenceMs: 5,
    windowMs: pick(random, [10, 20, 50]),
    tickRowsMax: pick(random, [2, 4, 16]),
    aheadRows: pick(random, [1, 3, 8, 32]),
    gradual: chance(random, 50),
    firesBefore: false,
    slow: chance(random, 50) ? below(random, tasks.length) : -1,
    creditRows: pick(random, [1, 4, 16, 1_000_000]),
  }
}

function placeTasks(stages: StageDraft[]): { tasks: TaskPlan[]; channelCount: number } {
  const tasks: TaskPlan[] = []
  const first: number[] = []
  for (const [stage, draft] of stages.entries()) {
    first.push(tasks.length)
    const inputs = draft.inputs.map((_, input) => input)
    const order = [...inputs.filter((input) => draft.inputs[input]?.table), ...inputs.filter((input) => !draft.inputs[input]?.table)]
    for (let group = 0; group < draft.groups; group++) {
      tasks.push({
        id: tasks.length,
        stage,
        operator: draft.operator,
        owned: [],
        feeds: [],
        order,
        outs: [],
        pairs: [],
        descendants: [],
        answersThrough: [],
        answersWants: [],
      })
    }
  }
  const groupsOf = (stage: number): TaskPlan[] => tasks.filter((task) => task.stage === stage)
  let channelCount = 0
  for (const [stage, draft] of stages.entries()) {
    const readers = groupsOf(stage)
    for (const [input, { from, partitions, table }] of draft.inputs.entries()) {
      for (const partition of partitions) readers[partition % draft.groups]?.owned.push({ partition, input, table })
      if (from < 0) continue
      for (const producer of groupsOf(from)) {
        producer.outs.push({ firstPair: producer.pairs.length, groups: draft.groups })
        for (const [group, reader] of readers.entries()) {
          reader.feeds.push({ producer: producer.id, channel: channelCount + group, input, table, pair: producer.pairs.length })
          producer.pairs.push({ channel: channelCount + group, reader: reader.id })
        }
      }
      channelCount += draft.groups
    }
  }
  for (const task of [...tasks].reverse()) linkAnswers(task, tasks)
  return { tasks, channelCount }
}

/** Rule 11 and 12 as static sets; stages are in topological order, so descendants are linked before their producers. */
function linkAnswers(task: TaskPlan, tasks: readonly TaskPlan[]): void {
  const descendants = new Set<number>()
  for (const { reader } of task.pairs) {
    descendants.add(reader)
    for (const further of tasks[reader]?.descendants ?? []) descendants.add(further)
  }
  const through = new Set<number>()
  for (const reader of descendants) for (const feed of tasks[reader]?.feeds ?? []) through.add(feed.producer)
  through.delete(task.id)
  task.descendants = [...descendants]
  task.answersThrough = [...through]
  task.answersWants = [...descendants]
}
