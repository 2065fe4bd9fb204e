// What one seed runs: a random sound pipeline, its settings and budgets, the log it stands on, and how bad its luck will be.
import { pipeline, topic } from '@millrace/core'
import type { PipelineDefinition, PipelineSettings } from '@millrace/core'
import type { Random } from '@millrace/core/connect'
import { ENDS } from './ends.ts'
import type { End, Step } from './recipe.ts'
import { EVENT } from './rows.ts'
import type { Flow } from './rows.ts'
import { makeExtras } from './extras.ts'
import type { Extras } from './extras.ts'
import { PRICES, STEPS, flaky } from './steps.ts'
import type { Repair } from './steps.ts'

export interface SourceSpec {
  readonly name: string
  readonly partitions: number
}

/** How long or bad a run may be; a failing run is repeated with less until it no longer fails. */
export interface Size {
  readonly actions: number
  readonly steps: number
  readonly ends: number
  /** False: without the faults and features of extras.ts. */
  readonly extras: boolean
}

/** Seeds below 3,000 were first run without extras; regressions name their size. */
export const PLAIN_SIZE: Size = { actions: 36, steps: 4, ends: 3, extras: false }
export const FULL_SIZE: Size = { ...PLAIN_SIZE, actions: 18, extras: true }
const ACTIONS_MAX = PLAIN_SIZE.actions

export interface Scenario {
  readonly seed: number
  readonly log: 'embedded' | 'memory'
  /** True: no partition becomes idle and nothing is late, so results do not depend on ticks. False: the bindings decide. */
  readonly onTime: boolean
  readonly sources: readonly SourceSpec[]
  readonly pricePartitions: number
  readonly hasPrices: boolean
  readonly hasThrough: boolean
  /** Rows of one partition and key go several ways in front of the ends, so that they may change places inside a tick. */
  readonly isScattered: boolean
  readonly disorderMs: number
  readonly actions: number
  readonly steps: readonly Step[]
  readonly ends: readonly End[]
  readonly definition: PipelineDefinition
  readonly aheadBytes: number
  readonly snapshotBytesMin: number
  readonly replays: boolean
  readonly extras: Extras | null
  /** How long the log keeps the records of the sources. */
  readonly retentionMs: number | null
  readonly repair: Repair
}

/** Of so many seeds one only ships: its archive is written by the task that reads the source (ADR 0008). Chance rarely makes such a plan. */
const SHIPPING_EVERY = 8
const SHIPPING_AT = 3
const STATEFUL_STEPS: ReadonlySet<string> = new Set(['dedupe', 'joinTopic'])

/** Everything that is decided before the run starts. */
export function makeScenario(seed: number, random: Random, size: Size): Scenario {
  const wantsOnTime = random.chance(0.5)
  const disorderMs = wantsOnTime ? 5_000 : random.pick([0, 300, 2_000])
  const counts = new Map<string, number>()
  const naming = (stem: string): string => {
    const count = (counts.get(stem) ?? 0) + 1
    counts.set(stem, count)
    return `${stem}-${count}`
  }
  const extras = size.extras ? makeExtras(seed, wantsOnTime) : null
  const retentionMs = extras?.retentionMs ?? null
  const repair: Repair = { broken: extras?.repairs === true }
  const ships = seed % SHIPPING_EVERY === SHIPPING_AT
  const stepNames = chooseSteps(random, size.steps).filter(
    (name) => (!repair.broken || REPAIRABLE_STEPS.has(name)) && (!ships || !STATEFUL_STEPS.has(name)),
  )
  // Each maker draws from a generator of its own: leaving one out does not change the others.
  const steps = stepNames.map((name) => (STEPS[name] as NonNullable<(typeof STEPS)[string]>)(random.fork(), naming))
  if (repair.broken) steps.unshift(flaky(repair)(random.fork(), naming))
  const endNames = Array.from({ length: 1 + random.below(3) }, () =>
    random.pick(repair.broken ? REPAIRABLE_ENDS : Object.keys(ENDS)),
  ).slice(0, ships ? 1 : size.ends)
  if (ships) endNames.fill('archived')
  const ends = endNames.map((name) => (ENDS[name] as NonNullable<(typeof ENDS)[string]>)(random.fork(), naming))
  const sources = Array.from({ length: random.chance(0.25) ? 2 : 1 }, (_, index) => ({
    name: `events-${index}`,
    partitions: 1 + random.below(4),
  }))
  const hasThrough = stepNames.includes('through')
  // The clock-ahead guard may hold the first records of a topic in the middle until it is idle: there some partition always becomes idle.
  const onTime = wantsOnTime && !hasThrough
  const settings = { ...settingsOf(random, wantsOnTime), ...(wantsOnTime && hasThrough ? { idleMs: 20_000 } : {}) }
  const definition = define(sources, disorderMs, steps, ends, settings)
  return {
    seed,
    log: random.chance(0.7) ? 'embedded' : 'memory',
    onTime,
    sources,
    pricePartitions: 1 + random.below(3),
    hasPrices: stepNames.includes('joinTopic'),
    hasThrough,
    isScattered:
      repair.broken || stepNames.slice(stepNames.indexOf('through') + 1).some((name) => name === 'dedupe' || name === 'branchAndMerge'),
    disorderMs,
    actions: Math.min(size.actions, 8 + random.below(ACTIONS_MAX - 8)),
    steps,
    ends,
    definition,
    aheadBytes: random.pick([2_000, 20_000, 32 * 1024 * 1024]),
    snapshotBytesMin: random.pick([500, 4_000, 64 * 1024 * 1024]),
    replays: random.chance(0.5) && extras?.repairs !== true && extras?.rots !== true && retentionMs === null,
    extras,
    retentionMs,
    repair,
  }
}

/** Records that come back are late by any measure: their plants have nothing that asks for the time or the order of ticks. */
const REPAIRABLE_STEPS = new Set([
  'filterExpression',
  'filterLambda',
  'mapLambda',
  'project',
  'branchAndMerge',
  'repeat',
  'dedupe',
  'joinFile',
])
const REPAIRABLE_ENDS = ['totals', 'latest', 'copied', 'archived', 'upserts', 'custom', 'numbered'] as const

/** At most one of the kinds that would make the oracle guess: two joins with one table, two topics in the middle. */
function chooseSteps(random: Random, most: number): readonly string[] {
  const once = new Set(['joinFile', 'joinTopic', 'through', 'dedupe'])
  const chosen: string[] = []
  for (let count = random.below(5); count > 0; count--) {
    const name = random.pick(Object.keys(STEPS))
    if (once.has(name) && chosen.includes(name)) continue
    chosen.push(name)
  }
  return chosen.slice(0, most)
}

function settingsOf(random: Random, onTime: boolean): Partial<PipelineSettings> {
  return {
    idleMs: onTime ? 86_400_000 : random.pick([200, 2_000, 20_000]),
    // The share of bad records is tried elsewhere; here many records are bad on purpose.
    badShareMax: 1,
    tickBytesMax: random.pick([4_096, 65_536]),
    commitMsMin: random.pick([1, 5, 20]),
    commitMsMax: random.pick([20, 100]),
    ...(random.chance(0.5) ? {} : { groups: 1 + random.below(4) }),
  }
}

function define(
  sources: readonly SourceSpec[],
  disorderMs: number,
  steps: readonly Step[],
  ends: readonly End[],
  settings: Partial<PipelineSettings>,
): PipelineDefinition {
  return pipeline(
    'plant',
    (mill) => {
      const flows = sources.map(({ name, partitions }) =>
        mill.from(topic(name, { value: EVENT, key: 'key', eventTime: 'at', disorderMs, partitions })),
      )
      const [first, second] = flows
      if (first === undefined) throw new Error('a plant needs a source')
      let flow: Flow = second === undefined ? first : first.merge(second, { name: 'both' })
      for (const step of steps) flow = step.build(flow, mill)
      for (const end of ends) end.build(flow, mill)
    },
    settings,
  )
}

export function describeScenario(scenario: Scenario): string {
  const { settings } = scenario.definition.plan
  const lines = [
    `${scenario.log} log, ${scenario.onTime ? 'nothing late' : `late records, disorder ${scenario.disorderMs} ms, idle after ${settings.idleMs} ms`}`,
    `sources ${scenario.sources.map((source) => `${source.name} x${source.partitions}`).join(', ')}${scenario.hasPrices ? `, ${PRICES.name} x${scenario.pricePartitions}` : ''}, groups ${settings.groups ?? 'as partitions'}`,
    ...scenario.steps.map((step) => `  step ${step.label}`),
    ...scenario.ends.map((end) => `  end  ${end.label}`),
    `aheadBytes ${scenario.aheadBytes}, snapshotBytesMin ${scenario.snapshotBytesMin}, tickBytesMax ${settings.tickBytesMax}`,
  ]
  return lines.join('\n')
}
