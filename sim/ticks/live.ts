/** One incarnation of a task: what it holds in memory beside its durable state, and how it starts from its last commit. */
import type { Entry, PartitionClock, Status } from './clock.ts'
import { channelsOf, copyTask } from './log.ts'
import type { Batch, Binding, Commit, TaskState } from './log.ts'
import type { TaskPlan } from './plan.ts'
import type { World } from './world.ts'

export interface LiveFeed {
  /** Entries read and not yet in force. */
  readonly entries: Entry[]
  /** Records read whose batches have not all been fetched. */
  readonly unconfirmed: { readonly through: number; readonly reached: number }[]
  nextRecord: number
  /** `through` of the newest confirmed record. */
  through: number
  readonly queue: { readonly offset: number; readonly batch: Batch }[]
  fetched: number
  heardAt: number
}

/** One incarnation of a task. Everything here but `state` is lost in a crash, and `state` falls back to the last commit. */
export interface Live {
  readonly plan: TaskPlan
  readonly epoch: number
  readonly state: TaskState
  readonly feeds: LiveFeed[]
  readonly channels: number[]
  readonly offsets: number[]
  /** What was last seen on everyone's progress. */
  readonly seenThrough: number[]
  readonly seenWants: number[]
  readonly seenWaits: number[]
  /** Per owned partition: since when fetches show its end (monotonic, -1 when not), and from where its idle clock goes on. */
  readonly emptySince: number[]
  readonly idleBase: number[]
  /** `through` of the newest commit prepared. */
  statedThrough: number
  boundAt: number
  batches: { channel: number; batch: Batch }[]
  entries: Entry[]
  bindings: Binding[]
  dirty: boolean
  readonly inflight: Commit[]
}

/** Starts an incarnation from the last commit (rule 1: the caller has fenced). */
export function startTask(world: World, plan: TaskPlan, epoch: number): Live {
  const durable = world.log.durable[plan.id]
  if (durable === undefined) throw new Error('unknown task')
  const state = copyTask(durable)
  const unheard = (): number[] => world.scenario.tasks.map(() => 0)
  const forgets = world.mutant === 'watermark-forgotten'
  if (forgets)
    state.clocks = state.clocks.map((clock) => ({ ...clock, largest: -Infinity, watermark: clock.status === 2 ? Infinity : -Infinity }))
  return {
    plan,
    epoch,
    state,
    channels: channelsOf(plan),
    offsets: state.fetch.slice(),
    feeds: state.feeds.map((feed) => ({
      entries: [],
      unconfirmed: [],
      nextRecord: feed.record,
      through: 0,
      queue: [],
      fetched: feed.number,
      heardAt: world.now,
    })),
    seenThrough: unheard(),
    seenWants: unheard(),
    seenWaits: world.scenario.tasks.map(() => Infinity),
    emptySince: plan.owned.map(() => -1),
    idleBase: plan.owned.map(() => 0),
    statedThrough: state.applied,
    boundAt: -Infinity,
    batches: [],
    entries: [],
    bindings: [],
    dirty: false,
    inflight: [],
  }
}

/** What rule 20 combines: streams, or tables when there is no stream. */
export function clockInputs(live: Live, clocks: readonly PartitionClock[]): { watermark: number; status: Status }[] {
  const { plan, state } = live
  const inputs: { watermark: number; status: Status }[] = []
  for (const table of [false, true]) {
    for (const [index, owned] of plan.owned.entries()) {
      const clock = clocks[index]
      if (owned.table === table && clock !== undefined) inputs.push(clock)
    }
    for (const [index, feed] of plan.feeds.entries()) {
      const entry = state.feeds[index]?.entry
      if (feed.table === table && entry !== undefined) inputs.push(entry)
    }
    if (inputs.length > 0) break
  }
  return inputs
}
