/**
 * One task of the protocol, as the runtime must behave: look at the log, run whole ticks, commit. `runTask` is the whole life of a task
 * between two looks at the log; everything it decides is a rule of docs/adr/0002-tick-protocol.md, cited by number.
 *
 *   observe -> frontier -> (bind | apply pending tick)* -> answer? -> forward? -> commit
 */
import { bindTick, clockDue, endDue, hasData, keptBinding, nextNumber } from './binder.ts'
import type { BoundTick } from './binder.ts'
import { advance, sameClock } from './clock.ts'
import { clockInputs } from './live.ts'
import type { Live } from './live.ts'
import { copyTask } from './log.ts'
import type { Batch, Binding } from './log.ts'
import { applyRow, earliestTimer, fireWindows } from './operators.ts'
import type { Row } from './operators.ts'
import type { TaskPlan } from './plan.ts'
import { chance } from './random.ts'
import type { World } from './world.ts'

/** Lets a task look at the log and run up to `ticksMax` ticks; at most one commit comes of it. */
export function runTask(world: World, live: Live, ticksMax: number): void {
  if (live.inflight.length >= 2) return
  observe(world, live)
  const { plan, state } = live
  const frontier = frontierOf(world, live)
  const due = plan.owned.length > 0 ? bindDue(world, live) : false
  for (let ticks = 0; ticks < ticksMax;) {
    const pending = nextPending(live, frontier)
    if (!hasRoom(world, live, pending)) break
    if (plan.feeds.length === 0) {
      const tick = ticks === 0 || hasData(world, live) ? pureTick(world, live, due && (ticks === 0 || world.kept === undefined)) : -1
      if (tick < 0) break
      runTick(world, live, tick, bindTick(world, live, tick, false))
      ticks++
    } else {
      const target = world.kept === undefined ? frontier : (keptBinding(world, live)?.tick ?? Infinity)
      if (due && target > state.applied && target <= frontier && pending >= target) {
        runTick(world, live, target, bindTick(world, live, target, false))
        ticks++
      } else if (pending <= frontier) {
        if (runTick(world, live, pending, undefined)) ticks++ // An empty tick costs nothing: only work counts.
      } else break
    }
  }
  settleFrontier(world, live, frontier)
  answer(world, live)
  wish(world, live, frontier, due)
  if (forwardDue(world, live)) live.dirty = true
  if (live.dirty) prepareCommit(world, live)
}

/** Reads progress and channels as far as they are shown; a random part of them, so that no order of sight is taken for granted. */
function observe(world: World, live: Live): void {
  const { log, random } = world
  for (const { id } of world.scenario.tasks) {
    const newest = log.progress[id]?.[(log.progressShown[id] ?? 0) - 1]
    if (newest === undefined || (random !== undefined && chance(random, 20))) continue
    live.seenThrough[id] = newest.through
    live.seenWants[id] = newest.wants
    live.seenWaits[id] = newest.waitsFor
  }
  for (const [index, channel] of live.channels.entries()) {
    if (random !== undefined && chance(random, 20)) continue
    const shown = log.channelsShown[channel] ?? 0
    let offset = live.offsets[index] ?? 0
    for (; offset < shown && gathersOn(world, live); offset++) receive(world, live, channel, offset)
    live.offsets[index] = offset
  }
  for (const [index, feed] of live.feeds.entries()) {
    const planned = live.plan.feeds[index]
    if (planned === undefined || (random !== undefined && chance(random, 20))) continue
    const shown = log.progressShown[planned.producer] ?? 0
    for (; feed.nextRecord < shown; feed.nextRecord++) {
      const record = log.progress[planned.producer]?.[feed.nextRecord]
      if (record === undefined) continue
      for (const entry of record.entries) if (entry.tick > live.state.applied) feed.entries.push(entry)
      feed.unconfirmed.push({ through: record.through, reached: record.reached[planned.pair] ?? 0 })
      feed.heardAt = world.now
    }
    // Progress may be shown before the data of the same commit: it counts only when every batch up to `reached` is here (rule 15).
    for (let first = feed.unconfirmed[0]; first !== undefined; first = feed.unconfirmed[0]) {
      if (first.reached > feed.fetched && world.mutant !== 'progress-before-data') break
      feed.through = first.through
      feed.unconfirmed.shift()
    }
  }
  for (const [index, { partition }] of live.plan.owned.entries()) {
    const atEnd = live.state.positions[index] === world.sources[partition]?.rows.length
    if (!atEnd) live.emptySince[index] = -1
    else if ((live.emptySince[index] ?? -1) < 0) {
      const clock = live.state.clocks[index]
      live.emptySince[index] = world.now
      live.idleBase[index] = clock === undefined ? -Infinity : Math.max(clock.largest, clock.watermark + world.scenario.disorderMs)
    }
  }
}

/** Rule 26. */
function gathersOn(world: World, live: Live): boolean {
  let held = 0
  let frontier = Infinity
  let oldest = Infinity
  for (const { queue, through } of live.feeds) {
    for (const { batch } of queue) held += batch.rows.length
    frontier = Math.min(frontier, through)
    oldest = Math.min(oldest, queue[0]?.batch.tick ?? Infinity)
  }
  return held < world.scenario.creditRows || (oldest > frontier && world.mutant !== 'credit-stops-gathering')
}

function receive(world: World, live: Live, channel: number, offset: number): void {
  const batch = world.log.channels[channel]?.[offset]
  if (batch === undefined) return
  const index = live.plan.feeds.findIndex((feed) => feed.channel === channel && feed.producer === batch.producer)
  const feed = live.feeds[index]
  const applied = live.state.feeds[index]?.number ?? 0
  if (feed === undefined || (batch.number <= applied && world.mutant !== 'no-dedupe')) return // Applied before the restart (rule 17).
  feed.queue.push({ offset, batch })
  feed.fetched = Math.max(feed.fetched, batch.number)
}

/** Rule 15. A task without producers is held by nobody. */
function frontierOf(world: World, live: Live): number {
  let frontier = Infinity
  let newest = 0
  for (const feed of live.feeds) {
    newest = Math.max(newest, feed.through)
    if (world.mutant === 'silence-is-idleness' && world.now - feed.heardAt > world.scenario.idleMs) continue
    frontier = Math.min(frontier, feed.through)
  }
  if (live.feeds.length > 0 && (world.mutant === 'partial-ticks' || frontier === Infinity)) return newest
  return frontier
}

/** The smallest tick at or below the frontier for which an input has rows or an entry; +infinity when there is none. */
function nextPending(live: Live, frontier: number): number {
  let next = Infinity
  for (const feed of live.feeds) next = Math.min(next, feed.queue[0]?.batch.tick ?? Infinity, feed.entries[0]?.tick ?? Infinity)
  return next <= frontier ? next : Infinity
}

/** Rule 25. */
function hasRoom(world: World, live: Live, pending: number): boolean {
  let incoming = 0
  if (world.mutant === 'room-without-exception') {
    for (const feed of live.feeds) for (const { batch } of feed.queue) if (batch.tick === pending) incoming += batch.rows.length
    for (const [index, { partition }] of live.plan.owned.entries())
      incoming += Math.min(world.scenario.tickRowsMax, (world.sources[partition]?.rows.length ?? 0) - (live.state.positions[index] ?? 0))
  }
  for (const [index, { reader }] of live.plan.pairs.entries()) {
    const outstanding = live.state.outstanding[index] ?? []
    while ((outstanding[0]?.tick ?? Infinity) <= (live.seenThrough[reader] ?? 0)) outstanding.shift()
    const rows = outstanding.reduce((sum, batch) => sum + batch.rows, 0)
    if (rows >= world.scenario.aheadRows || (incoming > 0 && rows + incoming > world.scenario.aheadRows)) return false
  }
  return true
}

/** True when this task has something of its own to bind: rows, the end of an input, a clock that somebody waits for, a kept binding. */
function bindDue(world: World, live: Live): boolean {
  if (world.kept !== undefined) return keptBinding(world, live) !== undefined
  if (endDue(world, live)) return true
  const waited = world.now - live.boundAt >= world.scenario.cadenceMs
  if (hasData(world, live)) return waited && (world.mutant !== 'wait-for-clock' || world.clockOf(live.plan.id) * 1000 >= live.state.applied)
  return world.now - live.boundAt >= world.scenario.heartbeatMs && clockDue(world, live)
}

/** The tick that a pure binder binds now, or -1: its own number when it has something, else the demanded one (rules 5 and 13). */
function pureTick(world: World, live: Live, due: boolean): number {
  const kept = keptBinding(world, live)
  if (kept !== undefined) return kept.tick
  if (due) return nextNumber(world, live)
  if (world.kept !== undefined || hasData(world, live)) return -1
  const demanded = demand(world, live)
  return demanded > live.state.applied ? demanded : -1
}

/** Rules 11 and 12: the newest tick that somebody waits for and that this task's completion is part of; 0 when none. */
function demand(world: World, live: Live): number {
  if (world.mutant === 'idle-silent') return 0
  let newest = 0
  for (const other of live.plan.answersThrough) {
    if (world.mutant === 'answers-direct-only' && !sharesDirectReader(world, live.plan, other)) continue
    newest = Math.max(newest, live.seenThrough[other] ?? 0)
  }
  for (const other of live.plan.answersWants) newest = Math.max(newest, live.seenWants[other] ?? 0)
  return newest
}

function sharesDirectReader(world: World, plan: TaskPlan, other: number): boolean {
  return plan.pairs.some(({ reader }) => world.scenario.tasks[reader]?.feeds.some((feed) => feed.producer === other))
}

/** How many entries may wait in memory for a commit: what bounds a record of `progress` and the memory of a task that owes nothing. */
const ENTRIES_MAX = 64

/** Applies one whole tick: rows in the order of rule 16, then the windows that the tick's own watermark closes (rule 22). */
function runTick(world: World, live: Live, tick: number, bound: BoundTick | undefined): boolean {
  const { plan, state } = live
  const { windowMs } = world.scenario
  const newest = world.mutant === 'fire-by-newest'
  for (const [index, feed] of live.feeds.entries()) {
    const durable = state.feeds[index]
    if (durable === undefined) continue
    while (feed.entries[0] !== undefined && (feed.entries[0].tick <= tick || newest)) durable.entry = feed.entries.shift() ?? durable.entry
  }
  if (bound !== undefined) for (const [index, part] of bound.binding.parts.entries()) bindPart(live, index, part)
  const previous = state.clock
  const clock = advance(previous, tick, clockInputs(live, state.clocks), wallOf(live, bound?.binding.wall))
  const out: Row[] = []
  const order = world.mutant === 'streams-first' ? [...plan.order].reverse() : plan.order
  let rows = 0
  const apply = (row: Row, table: boolean): void => {
    rows++
    if (
      world.mutant === 'late-lost' &&
      plan.operator === 'window' &&
      Math.floor(row.time / windowMs) * windowMs + windowMs <= previous.watermark
    )
      return
    applyRow(plan.operator, state.operator, row, table, tick, previous.watermark, windowMs, out)
  }
  for (const input of order) {
    for (const [index, owned] of plan.owned.entries())
      if (owned.input === input) for (const row of bound?.rows[index] ?? []) apply(row, owned.table)
    for (const { batch, table } of takeBatches(world, live, input, tick)) for (const row of batch.rows) apply(row, table)
  }
  const fired = fireWindows(
    state.operator,
    tick,
    world.scenario.firesBefore ? previous.watermark : clock.watermark,
    clock.wall,
    windowMs,
    out,
  )
  emit(live, tick, out)
  if (!sameClock(previous, clock)) live.entries.push(clock)
  state.clock = clock
  state.applied = tick
  if (bound !== undefined) {
    live.bindings.push(bound.binding)
    live.boundAt = world.now
    state.bound++
  }
  const worked = rows > 0 || fired > 0 || bound !== undefined
  if (worked) live.dirty = true
  return worked
}

function bindPart(live: Live, index: number, part: Binding['parts'][number]): void {
  live.state.positions[index] = part.to
  live.state.clocks[index] = part.clock
}

function wallOf(live: Live, own: number | undefined): number {
  let wall = own ?? -Infinity
  for (const feed of live.state.feeds) wall = Math.max(wall, feed.entry.wall)
  return wall
}

function takeBatches(world: World, live: Live, input: number, tick: number): { batch: Batch; offset: number; table: boolean }[] {
  const taken: { batch: Batch; offset: number; table: boolean }[] = []
  for (const [index, feed] of live.feeds.entries()) {
    const planned = live.plan.feeds[index]
    const durable = live.state.feeds[index]
    if (planned === undefined || durable === undefined || planned.input !== input) continue
    while (feed.queue[0] !== undefined && feed.queue[0].batch.tick === tick) {
      const head = feed.queue.shift()
      if (head === undefined) break
      taken.push({ ...head, table: planned.table })
      durable.number = Math.max(durable.number, head.batch.number)
    }
  }
  if (world.mutant === 'order-by-arrival') taken.sort((a, b) => a.offset - b.offset)
  return taken
}

/** Routes rows to the reader groups by key: one batch per pair and tick, numbered without gaps. */
function emit(live: Live, tick: number, rows: readonly Row[]): void {
  if (rows.length === 0) return
  for (const { firstPair, groups } of live.plan.outs) {
    for (let group = 0; group < groups; group++) {
      const own = groups === 1 ? rows.slice() : rows.filter((row) => row.key % groups === group)
      const pair = live.plan.pairs[firstPair + group]
      if (own.length === 0 || pair === undefined) continue
      const number = (live.state.numbers[firstPair + group] ?? 0) + 1
      live.state.numbers[firstPair + group] = number
      live.state.outstanding[firstPair + group]?.push({ tick, rows: own.length })
      live.batches.push({ channel: pair.channel, batch: { producer: live.plan.id, tick, number, rows: own } })
    }
  }
}

/** Rule 18: when nothing is pending up to the frontier, the ticks up to it are applied: they are empty for this task. */
function settleFrontier(world: World, live: Live, frontier: number): void {
  if (live.plan.feeds.length === 0 || nextPending(live, frontier) !== Infinity) return
  const kept = keptBinding(world, live)
  live.state.applied = Math.max(live.state.applied, kept === undefined ? frontier : Math.min(frontier, kept.tick - 1))
}

/** Rule 13: behind an exchange the answer is the frontier itself; a binder that has no room answers with an empty binding. */
function answer(world: World, live: Live): void {
  if (live.plan.pairs.length === 0) return
  const demanded = demand(world, live)
  const stated = live.statedThrough
  if (live.plan.feeds.length > 0) {
    if (demanded > stated && live.state.applied > stated) live.dirty = true
  } else if (world.kept !== undefined) {
    // A replay makes no binding of its own: what lies between two kept ones, and behind the last, is promised empty.
    const empty = Math.min(demanded, (keptBinding(world, live)?.tick ?? Infinity) - 1)
    if (empty > live.state.applied) {
      live.state.applied = empty
      live.dirty = true
    }
  } else if (demanded > live.state.applied && world.mutant !== 'full-silent' && !hasRoom(world, live, Infinity)) {
    runTick(world, live, demanded, bindTick(world, live, demanded, true))
  }
}

/** Rule 9: a mixed task that has something to bind and no completed tick to bind it to says so, once. */
function wish(world: World, live: Live, frontier: number, due: boolean): void {
  const { state, plan } = live
  if (!due || plan.feeds.length === 0 || world.mutant === 'mixed-binds-alone' || state.wants > state.applied) return
  const kept = keptBinding(world, live)
  if (live.bindings.length > 0 || (kept === undefined ? frontier > state.applied : frontier >= kept.tick)) return
  state.wants = kept?.tick ?? nextNumber(world, live)
  live.dirty = true
}

/** Rule 24 for a task behind an exchange: its clock has moved in memory, and somebody waits for it. */
function forwardDue(world: World, live: Live): boolean {
  if (live.plan.feeds.length === 0 || live.plan.pairs.length === 0 || world.mutant === 'clock-not-forwarded') return false
  return live.entries.length >= ENTRIES_MAX || (live.entries.length > 0 && clockDue(world, live))
}

function prepareCommit(world: World, live: Live): void {
  const { state, plan } = live
  state.stated = live.entries.at(-1) ?? state.stated
  for (const [index, feed] of state.feeds.entries()) {
    const records = world.log.progress[plan.feeds[index]?.producer ?? 0]
    while (feed.record < (live.feeds[index]?.nextRecord ?? 0) && (records?.[feed.record]?.through ?? Infinity) <= state.applied)
      feed.record++
  }
  for (const [index, channel] of live.channels.entries()) {
    let lowest = live.offsets[index] ?? 0
    for (const [at, feed] of plan.feeds.entries())
      if (feed.channel === channel) lowest = Math.min(lowest, live.feeds[at]?.queue[0]?.offset ?? Infinity)
    state.fetch[index] = lowest
  }
  const entries = world.mutant === 'last-entry-only' ? live.entries.slice(-1) : live.entries
  const record = {
    through: state.applied,
    entries,
    bindings: live.bindings,
    reached: state.numbers.slice(),
    waitsFor: earliestTimer(state.operator, world.scenario.windowMs),
    wants: state.wants,
    digest: state.operator.digest,
  }
  const commit = { task: plan.id, epoch: live.epoch, batches: live.batches, record, state: copyTask(state) }
  if (world.mutant === 'binding-apart' && live.batches.length > 0)
    live.inflight.push({ ...commit, record: undefined, state: undefined }, { ...commit, batches: [] })
  else live.inflight.push(commit)
  world.note(
    () =>
      `at ${world.now} task ${plan.id} commits through ${state.applied}: ${live.batches.length} batches, ${live.bindings.length} bindings, ${entries.length} entries`,
  )
  live.statedThrough = state.applied
  live.batches = []
  live.entries = []
  live.bindings = []
  live.dirty = false
}
