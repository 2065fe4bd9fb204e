/**
 * The world that the tasks run in: the log, the source partitions, real time, wrong clocks, incarnations and zombies. A step is a plain
 * value, so that a run is a list of steps and a failing list can be shortened. Nothing here knows a rule of the protocol.
 */
import { startTask } from './live.ts'
import type { Live } from './live.ts'
import { applyCommit, emptyLog, show } from './log.ts'
import type { Binding, Commit, Log } from './log.ts'
import type { Mutant } from './mutants.ts'
import type { Row } from './operators.ts'
import { KEYS } from './plan.ts'
import type { Scenario, TaskPlan } from './plan.ts'
import { below, chance, draw, pick, randomFrom } from './random.ts'
import type { Random } from './random.ts'
import { runTask } from './task.ts'

/** `at` picks the task or partition, `chance` seeds everything random inside the step. */
export interface Step {
  readonly kind: 'append' | 'time' | 'run' | 'deliver' | 'show' | 'crash' | 'start' | 'zombie' | 'end' | 'clock' | 'stick' | 'release'
  readonly at: number
  readonly chance: number
}

export interface World {
  readonly scenario: Scenario
  readonly log: Log
  readonly sources: { rows: Row[]; closed: boolean }[]
  readonly live: (Live | undefined)[]
  readonly stuck: boolean[]
  readonly zombies: Commit[]
  readonly skewMs: number[]
  readonly mutant: Mutant | undefined
  /** Bindings per task to follow instead of making new ones. */
  readonly kept: Binding[][] | undefined
  /** Real, monotonic time in ms. */
  now: number
  /** The chance of the present step; undefined while the drain is fair and sees everything. */
  random: Random | undefined
  nextValue: number
  refused: number
  crashes: number
  /** What a task believes the wall clock to be, in ms. */
  clockOf(task: number): number
  note(text: () => string): void
}

export const START_MS = 36_000_000

export function createWorld(scenario: Scenario, mutant: Mutant | undefined, trace: string[] | undefined, kept?: Binding[][]): World {
  const world: World = {
    scenario,
    mutant,
    kept,
    log: emptyLog(scenario),
    sources: scenario.partitions.map(() => ({ rows: [], closed: false })),
    live: [],
    stuck: scenario.tasks.map(() => false),
    zombies: [],
    skewMs: scenario.skewMs.slice(),
    now: START_MS,
    random: undefined,
    nextValue: 1,
    refused: 0,
    crashes: 0,
    clockOf: (task) => world.now + (world.skewMs[task] ?? 0),
    note: (text) => void trace?.push(text()),
  }
  for (const plan of scenario.tasks) world.live.push(startTask(world, plan, 1))
  return world
}

/** Draws the steps of the wild phase: mostly work, now and then bad luck. */
export function drawSteps(scenario: Scenario, count: number): Step[] {
  const random = randomFrom(scenario.seed ^ 0x5bd1e995)
  const calm = chance(random, 20)
  const kinds: Step['kind'][] = ['append', 'append', 'time', 'run', 'run', 'run', 'run', 'deliver', 'deliver', 'deliver']
  if (scenario.gradual) kinds.push('show', 'show', 'show')
  const rare: Step['kind'][] = ['crash', 'crash', 'zombie', 'start', 'start', 'end', 'clock', 'stick', 'release']
  return Array.from({ length: count }, () => {
    const kind = !calm && chance(random, 10) ? pick(random, rare) : pick(random, kinds)
    return { kind, at: draw(random), chance: draw(random) }
  })
}

/** Does one step; a step that makes no sense now does nothing. */
export function doStep(world: World, step: Step): void {
  const random = randomFrom(step.chance)
  world.random = random
  const tasks = world.scenario.tasks
  const task = step.at % tasks.length
  const plan = tasks[task]
  if (plan === undefined) return
  if (step.kind === 'run' && task === world.scenario.slow && !chance(random, 6)) return
  world.note(() => `step ${step.kind} ${task}`)
  switch (step.kind) {
    case 'append':
      return append(world, step.at % world.sources.length, random)
    case 'time':
      world.now += chance(random, 85) ? below(random, 8) : pick(random, [50, 300, 1500])
      return
    case 'run':
      return void (world.stuck[task] !== true && world.live[task] !== undefined && runTask(world, world.live[task], 1 + below(random, 4)))
    case 'deliver':
      return deliver(world, task)
    case 'show':
      return show(world.log, step.at)
    case 'crash':
      return crash(world, task)
    case 'start':
      return start(world, plan)
    case 'zombie':
      return deliverZombie(world)
    case 'end': {
      const partition = step.at % world.sources.length
      const source = world.sources[partition]
      if (source !== undefined && world.scenario.partitions[partition]?.bounded === true) source.closed = true
      return
    }
    case 'clock':
      world.skewMs[task] = (world.skewMs[task] ?? 0) + pick(random, [-3_600_000, -50, 20, 3_600_000])
      return
    case 'stick':
      world.stuck[task] = true
      return
    case 'release':
      world.stuck.fill(false)
      return
  }
}

/** Producers: event times near real time, with disorder, late ones, and rarely a clock that jumps. */
export function append(world: World, partition: number, random: Random): void {
  const source = world.sources[partition]
  if (source === undefined || source.closed || world.kept !== undefined) return
  for (let count = 1 + below(random, 3); count > 0; count--) {
    const behind = chance(random, 90) ? below(random, 10) : below(random, 200)
    const jump = chance(random, 2) ? below(random, 7_200_000) : 0
    source.rows.push({ key: below(random, KEYS), value: world.nextValue++, time: world.now - behind + jump, trail: 0 })
  }
}

function deliver(world: World, task: number): void {
  const commit = world.live[task]?.inflight.shift()
  if (commit === undefined) return
  if (!commitOne(world, commit)) crash(world, task)
}

function commitOne(world: World, commit: Commit): boolean {
  const done = applyCommit(world.log, commit, world.mutant !== 'no-fencing')
  if (!done) world.refused++
  else if (!world.scenario.gradual) show(world.log, -1)
  return done
}

/** The incarnation is gone; what it had sent may still arrive. */
function crash(world: World, task: number): void {
  const live = world.live[task]
  if (live === undefined) return
  world.zombies.push(...live.inflight)
  world.live[task] = undefined
  world.crashes++
}

function deliverZombie(world: World): void {
  const commit = world.zombies.shift()
  if (commit === undefined || commitOne(world, commit)) return
  // Commits of one writer are ordered: after a refused one, none of the same epoch can follow, which the fence guarantees.
}

function start(world: World, plan: TaskPlan): void {
  if (world.live[plan.id] !== undefined) return
  const epoch = (world.log.epochs[plan.id] ?? 0) + 1
  world.log.epochs[plan.id] = epoch
  world.live[plan.id] = startTask(world, plan, epoch)
}

/** One fair round: everyone but `stuck` lives, sees everything, runs once and has its commits done. Returns whether anything was written. */
export function fairRound(world: World, passMs: number, stuck = -1): boolean {
  const before = world.log.writes
  world.random = undefined
  world.stuck.fill(false)
  show(world.log, -1)
  for (const plan of world.scenario.tasks) {
    if (plan.id === stuck) continue
    start(world, plan)
    const live = world.live[plan.id]
    if (live === undefined) continue
    runTask(world, live, 4)
    while ((world.live[plan.id]?.inflight.length ?? 0) > 0) deliver(world, plan.id)
    if (world.scenario.gradual) show(world.log, -1)
  }
  while (world.zombies.length > 0) deliverZombie(world)
  world.now += passMs
  return world.log.writes > before
}
