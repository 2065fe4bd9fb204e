/**
 * The part of a task that reads source partitions: tick numbers, bindings and the clocks of partitions (rules 5 to 10, 19, 24).
 * In a replay it reads kept bindings instead of making new ones; nothing else differs.
 */
import { ACTIVE, ENDED, IDLE, NEVER_READ, advance } from './clock.ts'
import type { PartitionClock } from './clock.ts'
import type { Binding } from './log.ts'
import { earliestTimer } from './operators.ts'
import type { Row } from './operators.ts'
import { clockInputs } from './live.ts'
import type { Live } from './live.ts'
import type { World } from './world.ts'

export interface BoundTick {
  readonly binding: Binding
  readonly rows: (readonly Row[])[]
}

/** Rule 5. */
export function nextNumber(world: World, live: Live): number {
  const { cadenceMs } = world.scenario
  let number = Math.max(live.state.applied + 1, Math.floor(world.clockOf(live.plan.id) / cadenceMs) * cadenceMs * 1000)
  if (world.mutant === 'number-not-maxed') return number
  for (const through of live.seenThrough) number = Math.max(number, through)
  for (const wants of live.seenWants) number = Math.max(number, wants)
  return number
}

export function hasData(world: World, live: Live): boolean {
  return live.plan.owned.some(({ partition }, index) => (live.state.positions[index] ?? 0) < (world.sources[partition]?.rows.length ?? 0))
}

/** The next binding of a replay, or undefined when bindings are made. */
export function keptBinding(world: World, live: Live): Binding | undefined {
  return world.kept?.[live.plan.id]?.[live.state.bound]
}

/** Binds what there is, at most `tickRowsMax` per partition, to a tick. `frozen`: an empty binding that leaves the clocks as they are. */
export function bindTick(world: World, live: Live, tick: number, frozen: boolean): BoundTick {
  const rowsOf = (index: number, from: number, to: number): readonly Row[] =>
    world.sources[live.plan.owned[index]?.partition ?? -1]?.rows.slice(from, to) ?? []
  const kept = keptBinding(world, live)
  if (kept !== undefined) return { binding: kept, rows: kept.parts.map(({ from, to }, index) => rowsOf(index, from, to)) }
  const rows: (readonly Row[])[] = []
  const parts = live.plan.owned.map(({ partition }, index) => {
    const from = live.state.positions[index] ?? 0
    const held = live.state.clocks[index] ?? NEVER_READ
    const end = world.sources[partition]?.rows.length ?? 0
    const to = frozen ? from : Math.min(end, from + world.scenario.tickRowsMax)
    const own = to > from ? rowsOf(index, from, to) : []
    rows.push(own)
    return { from, to, clock: frozen ? held : readClock(world, live, index, held, own, to) }
  })
  return { binding: { tick, wall: Math.max(live.state.clock.wall, world.clockOf(live.plan.id)), parts }, rows }
}

function readClock(world: World, live: Live, index: number, held: PartitionClock, rows: readonly Row[], to: number): PartitionClock {
  if (rows.length === 0) return partitionNow(world, live, index)
  let largest = held.largest
  for (const row of rows) largest = Math.max(largest, row.time)
  const source = world.sources[live.plan.owned[index]?.partition ?? -1]
  if (source?.closed === true && to === source.rows.length) return { largest, watermark: Infinity, status: ENDED }
  return { largest, watermark: Math.max(held.watermark, largest - world.scenario.disorderMs), status: ACTIVE }
}

/** Rule 19: the clock of a partition that delivers nothing now. Once idle it stays idle until data comes, over restarts too. */
function partitionNow(world: World, live: Live, index: number): PartitionClock {
  const held = live.state.clocks[index] ?? NEVER_READ
  const source = world.sources[live.plan.owned[index]?.partition ?? -1]
  const atEnd = live.state.positions[index] === source?.rows.length
  if (held.status === ENDED || !atEnd) return held
  if (source?.closed === true) return { largest: held.largest, watermark: Infinity, status: ENDED }
  const since = live.emptySince[index] ?? -1
  const { idleMs, disorderMs } = world.scenario
  if (since < 0 || world.now - since < idleMs) return held
  const reached = Math.min((live.idleBase[index] ?? -Infinity) + world.now - since, world.clockOf(live.plan.id)) - disorderMs
  return { largest: held.largest, watermark: Math.max(held.watermark, reached), status: IDLE }
}

/** True when an input has come to its declared end and no binding says so yet. */
export function endDue(world: World, live: Live): boolean {
  return live.plan.owned.some((_, index) => live.state.clocks[index]?.status !== ENDED && partitionNow(world, live, index).status === ENDED)
}

/** Rule 24: somebody waits for a watermark that this task has not stated and now could, or waits and the task has become idle. */
export function clockDue(world: World, live: Live): boolean {
  const { state, plan } = live
  let awaited = earliestTimer(state.operator, world.scenario.windowMs)
  if (awaited <= state.stated.watermark) awaited = Infinity
  for (const other of plan.descendants) {
    const waits = live.seenWaits[other] ?? Infinity
    if (waits > state.stated.watermark) awaited = Math.min(awaited, waits)
  }
  const beats = world.mutant === 'beat-always' && plan.feeds.length === 0
  if (awaited === Infinity && !beats) return false
  const clocks = plan.owned.map((_, index) => partitionNow(world, live, index))
  const next = advance(state.clock, state.applied, clockInputs(live, clocks), -Infinity)
  if (beats && next.watermark > state.stated.watermark) return true
  return next.watermark >= awaited || (state.stated.status === ACTIVE && next.status === IDLE)
}
