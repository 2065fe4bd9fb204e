/**
 * The slow obvious computation that the protocol must equal: one loop over all bound ticks in order, all tasks in plan order, every row
 * passed on at once. No log, no positions, no crashes, no frontier; its only input is the bindings and the source partitions.
 */
import { NEVER_READ, NOT_HEARD, advance } from './clock.ts'
import type { Entry, PartitionClock } from './clock.ts'
import type { Binding } from './log.ts'
import { applyRow, emptyState, fireWindows } from './operators.ts'
import type { OperatorState, Row } from './operators.ts'
import type { Scenario } from './plan.ts'

export interface OracleTask {
  readonly operator: OperatorState
  clock: Entry
  readonly clocks: PartitionClock[]
  /** Rows passed to this task in the present tick, per feed. */
  readonly inbox: Row[][]
  touched: boolean
}

/** Called when tick `tick` has been evaluated everywhere; `next` is the tick that follows, +infinity after the last. */
export type AfterTick = (tick: number, next: number, tasks: readonly OracleTask[]) => void

export function evaluate(
  scenario: Scenario,
  sources: readonly { readonly rows: readonly Row[] }[],
  bindings: readonly (readonly Binding[])[],
  after: AfterTick,
): OracleTask[] {
  const tasks = scenario.tasks.map((plan): OracleTask => ({
    operator: emptyState(),
    clock: NOT_HEARD,
    clocks: plan.owned.map(() => NEVER_READ),
    inbox: plan.feeds.map(() => []),
    touched: false,
  }))
  const ticks = [...new Set(bindings.flatMap((list) => list.map((binding) => binding.tick)))].sort((a, b) => a - b)
  const next = bindings.map(() => 0)
  after(0, ticks[0] ?? Infinity, tasks)
  for (const [index, tick] of ticks.entries()) {
    for (const { id } of scenario.tasks) {
      const binding = bindings[id]?.[next[id] ?? 0]
      const own = binding?.tick === tick ? binding : undefined
      if (own !== undefined) next[id] = (next[id] ?? 0) + 1
      evaluateTask(scenario, sources, tasks, id, tick, own)
    }
    for (const task of tasks) task.touched = false
    after(tick, ticks[index + 1] ?? Infinity, tasks)
  }
  return tasks
}

function evaluateTask(
  scenario: Scenario,
  sources: readonly { readonly rows: readonly Row[] }[],
  tasks: readonly OracleTask[],
  id: number,
  tick: number,
  binding: Binding | undefined,
): void {
  const plan = scenario.tasks[id]
  const task = tasks[id]
  if (plan === undefined || task === undefined) return
  if (binding === undefined && !plan.feeds.some((feed) => tasks[feed.producer]?.touched)) return
  task.touched = true
  for (const [index, part] of (binding?.parts ?? []).entries()) task.clocks[index] = part.clock
  const streams = [
    ...plan.owned.flatMap((owned, index) => (owned.table ? [] : [task.clocks[index] ?? NEVER_READ])),
    ...plan.feeds.flatMap((feed) => (feed.table ? [] : [tasks[feed.producer]?.clock ?? NOT_HEARD])),
  ]
  const all = [...task.clocks, ...plan.feeds.map((feed) => tasks[feed.producer]?.clock ?? NOT_HEARD)]
  const wall = Math.max(binding?.wall ?? -Infinity, ...plan.feeds.map((feed) => tasks[feed.producer]?.clock.wall ?? -Infinity))
  const before = task.clock
  task.clock = advance(before, tick, streams.length > 0 ? streams : all, wall)
  const out: Row[] = []
  for (const input of plan.order) {
    for (const [index, owned] of plan.owned.entries()) {
      const part = binding?.parts[index]
      if (owned.input !== input || part === undefined) continue
      for (const row of sources[owned.partition]?.rows.slice(part.from, part.to) ?? [])
        applyRow(plan.operator, task.operator, row, owned.table, tick, before.watermark, scenario.windowMs, out)
    }
    for (const [index, feed] of plan.feeds.entries()) {
      if (feed.input !== input) continue
      for (const row of task.inbox[index] ?? [])
        applyRow(plan.operator, task.operator, row, feed.table, tick, before.watermark, scenario.windowMs, out)
      if (task.inbox[index] !== undefined) task.inbox[index] = []
    }
  }
  fireWindows(task.operator, tick, scenario.firesBefore ? before.watermark : task.clock.watermark, task.clock.wall, scenario.windowMs, out)
  if (out.length === 0) return
  for (const { firstPair, groups } of plan.outs) {
    for (let group = 0; group < groups; group++) {
      const pair = plan.pairs[firstPair + group]
      const reader = scenario.tasks[pair?.reader ?? -1]
      const feed = reader?.feeds.findIndex((candidate) => candidate.channel === pair?.channel && candidate.producer === id) ?? -1
      for (const row of out) if (row.key % groups === group) tasks[pair?.reader ?? -1]?.inbox[feed]?.push(row)
    }
  }
}
