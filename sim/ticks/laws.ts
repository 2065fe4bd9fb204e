/**
 * The laws of the tick protocol, each a function that returns what is wrong or undefined.
 * L1 prefixes      a view at a committed tick equals the evaluation from scratch of the bindings; so do the clocks that are stated.
 * L2 ends          every bound tick completes at every task, and every source is bound to its end, once nothing is stuck.
 * L3 no deadlock   the plant comes to rest within a bounded number of fair rounds, with bounded room too.
 * L4 quiet         at rest, rounds and wall clock write nothing.
 * L5 bindings      ticks only rise per task; ranges tile the source without gap or overlap.
 * L6 exactly once  sums over every stage equal sums over the sources, whatever crashed.
 * L7 watermark     stated watermarks and walls never go back nor run past their bound; every record is counted in a window, late or open.
 * L8 replay        a run along kept bindings, with other luck, gives the same views at every tick.
 * L9 wrong clocks  they cost alignment only: under steady load every reader passes every tick that was on progress, in bounded rounds.
 * L10 room         output that a reader has not finished stays below `aheadRows` plus one tick, and a stuck reader holds back no other reader.
 */
import { ENDED, IDLE, NOT_HEARD } from './clock.ts'
import type { Entry } from './clock.ts'
import type { Binding } from './log.ts'
import { evaluate } from './oracle.ts'
import { append, fairRound } from './world.ts'
import type { World } from './world.ts'
import type { TaskPlan } from './plan.ts'
import { randomFrom } from './random.ts'

export type Law = 'L1' | 'L2' | 'L3' | 'L4' | 'L5' | 'L6' | 'L7' | 'L8' | 'L9' | 'L10'

export interface Violation {
  readonly law: Law
  readonly what: string
}

const ROUNDS_MAX = 600
const LOAD_ROUNDS = 40

export function bindingsOf(world: World): Binding[][] {
  return world.log.progress.map((records) => records.flatMap((record) => record.bindings))
}

/** Runs fair rounds until nothing is written for `calmRounds` of them; false when that does not come. */
function rest(world: World, passMs: number, calmRounds: number): boolean {
  let calm = 0
  for (let round = 0; round < ROUNDS_MAX; round++) {
    calm = fairRound(world, passMs) ? 0 : calm + 1
    if (calm >= calmRounds) return true
  }
  return false
}

/** L9, while producers go on: each round every open partition gets a record and every task runs. */
export function checkAlignment(world: World): Violation | undefined {
  const random = randomFrom(world.scenario.seed + 1)
  let stated: number[] = []
  for (let round = 0; round < LOAD_ROUNDS; round++) {
    // Taken under load: at rest the answers level the numbers, and a producer that never looks at the others' would go unseen.
    if (round === LOAD_ROUNDS / 4) stated = statedNow(world)
    for (const partition of world.sources.keys()) append(world, partition, random)
    fairRound(world, world.scenario.cadenceMs)
  }
  for (const live of world.live) {
    if (live === undefined || live.state.applied >= newestOf(live.plan, stated)) continue
    const behind = `${newestOf(live.plan, stated)} was on progress ${(LOAD_ROUNDS * 3) / 4} rounds ago`
    return { law: 'L9', what: `task ${live.plan.id} is at ${live.state.applied}, ${behind}` }
  }
  return undefined
}

function statedNow(world: World): number[] {
  return world.log.progress.map((records) => records.at(-1)?.through ?? 0)
}

/** What a task's producers had stated at most when `stated` was taken: what it states later may rightly be still unanswered. */
function newestOf(plan: TaskPlan, stated: readonly number[]): number {
  return Math.max(0, ...plan.feeds.map((feed) => stated[feed.producer] ?? 0))
}

/** L10: what is outstanding without its newest tick was below the bound when that tick began. */
export function checkRoom(world: World): Violation | undefined {
  for (const [task, state] of world.log.durable.entries()) {
    for (const batches of state.outstanding) {
      const newest = batches.at(-1)?.tick ?? 0
      const rows = batches.reduce((sum, batch) => sum + (batch.tick < newest ? batch.rows : 0), 0)
      if (rows >= Math.max(1, world.scenario.aheadRows))
        return { law: 'L10', what: `task ${task} began a tick with ${rows} rows outstanding` }
    }
  }
  return undefined
}

/** L10, the other half: with one task stuck for good, readers of binders that do not wait for it go on under load. */
export function checkIsolation(world: World): Violation | undefined {
  const random = randomFrom(world.scenario.seed + 2)
  const stuck = world.scenario.seed % world.scenario.tasks.length
  let stated: number[] = []
  for (let round = 0; round < LOAD_ROUNDS; round++) {
    if (round === LOAD_ROUNDS / 2) stated = statedNow(world)
    for (const partition of world.sources.keys()) append(world, partition, random)
    fairRound(world, world.scenario.cadenceMs, stuck)
  }
  for (const live of world.live) {
    if (live === undefined || live.plan.id === stuck || live.plan.feeds.length === 0 || live.plan.pairs.length > 0) continue
    if (live.plan.feeds.some(({ producer }) => producer === stuck || (world.scenario.tasks[producer]?.feeds.length ?? 1) > 0)) continue
    if (live.state.applied < newestOf(live.plan, stated))
      return { law: 'L10', what: `task ${live.plan.id} is held at ${live.state.applied} by task ${stuck}, which it does not read` }
  }
  return undefined
}

/** L2 and L3: first with hardly any time passing, so that no rule may wait for a clock to catch up. */
export function checkEnds(world: World): Violation | undefined {
  if (!rest(world, 2, 5)) return { law: 'L3', what: `still writing after ${ROUNDS_MAX} fair rounds` }
  for (const live of world.live) {
    if (live === undefined) continue
    for (const [index, { partition }] of live.plan.owned.entries()) {
      if ((live.state.positions[index] ?? 0) < (world.sources[partition]?.rows.length ?? 0))
        return {
          law: 'L2',
          what: `partition ${partition} is bound to ${live.state.positions[index]} of ${world.sources[partition]?.rows.length}`,
        }
    }
    const newest = Math.max(0, ...live.plan.feeds.map((feed) => world.log.progress[feed.producer]?.at(-1)?.through ?? 0))
    if (live.state.applied < newest)
      return { law: 'L2', what: `task ${live.plan.id} is at ${live.state.applied}, a producer has completed ${newest}` }
    if (live.feeds.some((feed) => feed.queue.length > 0))
      return { law: 'L2', what: `task ${live.plan.id} holds batches that it never applies` }
  }
  return undefined
}

/** L4: time passes until every window has closed; then more time passes and nothing may be written. */
export function checkQuiet(world: World): Violation | undefined {
  for (const jumpMs of [50, 1000, 5_000, 3 * 3_600_000, 10 * 86_400_000]) {
    world.now += jumpMs
    if (!rest(world, 400, 4)) return { law: 'L4', what: `restless after a pause of ${jumpMs} ms` }
  }
  const waits = world.live.find((live) => (live?.state.operator.windows.size ?? 0) > 0)
  if (waits !== undefined) return { law: 'L7', what: `task ${waits.plan.id} keeps windows open for days of silence` }
  const writes = world.log.writes
  for (let round = 0; round < 4; round++) fairRound(world, 86_400_000)
  return world.log.writes === writes ? undefined : { law: 'L4', what: `${world.log.writes - writes} writes in four idle days` }
}

/** L5, and the parts of L7 that can be seen in the log alone. */
export function checkProgress(world: World): Violation | undefined {
  for (const plan of world.scenario.tasks) {
    let through = 0
    let bound = 0
    let entry: Entry = NOT_HEARD
    let wall = -Infinity
    const ends = plan.owned.map(() => 0)
    const watermarks = plan.owned.map(() => -Infinity)
    for (const record of world.log.progress[plan.id] ?? []) {
      if (record.through < through) return { law: 'L5', what: `task ${plan.id} goes back from ${through} to ${record.through}` }
      for (const next of record.entries) {
        if (next.tick <= entry.tick || next.tick <= through || next.tick > record.through)
          return { law: 'L5', what: `task ${plan.id} states tick ${next.tick} after ${through}` }
        if (next.watermark < entry.watermark || next.wall < entry.wall)
          return { law: 'L7', what: `task ${plan.id} states a clock that goes back at ${next.tick}` }
        entry = next
      }
      for (const binding of record.bindings) {
        if (binding.tick <= bound || binding.tick <= through || binding.tick > record.through || binding.wall < wall)
          return { law: 'L5', what: `task ${plan.id} binds ${binding.tick} after ${Math.max(bound, through)}` }
        bound = binding.tick
        wall = binding.wall
        for (const [index, { from, to, clock }] of binding.parts.entries()) {
          if (from !== ends[index] || to < from)
            return { law: 'L5', what: `task ${plan.id} binds ${from} to ${to} where ${ends[index]} is next` }
          ends[index] = to
          const before = watermarks[index] ?? -Infinity
          if (clock.watermark < before) return { law: 'L7', what: `a partition of task ${plan.id} has a watermark that goes back` }
          const bound =
            clock.status === ENDED
              ? Infinity
              : Math.max(before, (clock.status === IDLE ? Math.max(clock.largest, wall) : clock.largest) - world.scenario.disorderMs)
          if (clock.watermark > bound) return { law: 'L7', what: `a partition of task ${plan.id} has a watermark ahead of its bound` }
          watermarks[index] = clock.watermark
        }
      }
      through = record.through
    }
  }
  return undefined
}

/** L1, and L8 when the bindings come from another run. */
export function checkPrefixes(world: World, bindings: readonly (readonly Binding[])[], law: Law): Violation | undefined {
  const at = world.log.progress.map(() => 0)
  const entryAt = world.log.progress.map(() => 0)
  const entries = world.log.progress.map((records) => records.flatMap((record) => record.entries))
  let violation: Violation | undefined
  evaluate(world.scenario, world.sources, bindings, (tick, next, tasks) => {
    for (const [id, records] of world.log.progress.entries()) {
      if (violation !== undefined) return
      const task = tasks[id]
      const list = entries[id]
      const stated = records.at(-1)?.through ?? 0
      if (task === undefined || list === undefined) continue
      while ((list[entryAt[id] ?? 0]?.tick ?? Infinity) <= tick) entryAt[id] = (entryAt[id] ?? 0) + 1
      const entry = list[(entryAt[id] ?? 0) - 1] ?? NOT_HEARD
      const { clock } = task
      if (tick <= stated && (entry.watermark !== clock.watermark || entry.wall !== clock.wall || entry.status !== clock.status)) {
        violation = {
          law,
          what: `task ${id} at ${tick} states watermark ${entry.watermark}/${entry.wall}/${entry.status}, the bindings give ${clock.watermark}/${clock.wall}/${clock.status}`,
        }
      }
      for (let record = records[at[id] ?? 0]; record !== undefined && record.through < next; record = records[at[id] ?? 0]) {
        if (record.digest !== task.operator.digest)
          violation ??= { law, what: `the view of task ${id} at ${record.through} is not that of its bindings` }
        at[id] = (at[id] ?? 0) + 1
      }
    }
  })
  return violation
}

/** L6 and the counting half of L7, from the sources alone: no binding is trusted here. */
export function checkSums(world: World): Violation | undefined {
  const stages = Math.max(...world.scenario.tasks.map((plan) => plan.stage)) + 1
  const sent: number[] = []
  for (let stage = 0; stage < stages; stage++) {
    const plans = world.scenario.tasks.filter((plan) => plan.stage === stage)
    let expected = 0
    for (const plan of plans)
      for (const { partition, table } of plan.owned)
        if (!(table && plan.operator === 'join')) for (const row of world.sources[partition]?.rows ?? []) expected += row.value
    const from = new Set(
      plans[0]?.feeds
        .filter((feed) => !(feed.table && plans[0]?.operator === 'join'))
        .map((feed) => world.scenario.tasks[feed.producer]?.stage ?? -1),
    )
    for (const producer of from) expected += sent[producer] ?? 0
    let arrived = 0
    let kept = 0
    let out = 0
    for (const plan of plans) {
      const operator = world.log.durable[plan.id]?.operator
      if (operator === undefined) continue
      arrived += operator.sumIn
      out += operator.sumOut
      kept += operator.lateSum
      for (const window of operator.windows.values()) kept += window.sum
    }
    if (arrived !== expected) return { law: 'L6', what: `stage ${stage} has received ${arrived}, ${expected} was sent` }
    if (out + kept !== arrived) return { law: 'L7', what: `stage ${stage} has received ${arrived} and accounts for ${out + kept}` }
    sent.push(out)
  }
  return undefined
}
