/**
 * The simulation: the real runtime, compiler and log on virtual time and a disk that fails; one seed is one run.
 *
 * `npm run sim -- [--seeds N] [--seed N] [--only NAME] [--quick] [--json] [--fresh]`
 *   --seeds N   run up to seed N (default 10000), going on where the last campaign stopped
 *   --seed N    one seed, with its plant, its trace and, when it fails, the smallest form that still fails
 *   --plain     that seed without the extras (plant/extras.ts), as some regressions were found
 *   --only NAME `seeds`, `regressions`, `repeat` or `canary`
 *   --quick     the form of the tests: regressions, 300 seeds, the canaries; keeps no cursor
 *   --fresh     forget the cursor
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CANARIES } from './plant/canaries.ts'
import { FULL_SIZE, PLAIN_SIZE } from './plant/scenario.ts'
import type { Size } from './plant/scenario.ts'
import { runSeed } from './plant/simulate.ts'
import { shrink } from './plant/shrink.ts'

const STATE = new URL('state/', import.meta.url)
const CURSOR = new URL('state/plant.json', import.meta.url)
const REGRESSIONS = new URL('regressions.json', import.meta.url)
const SEEDS = 10_000
const QUICK_SEEDS = 300
/** Of how many seeds one is run twice, to see that it gives the same bytes. */
const REPEAT_EVERY = 25
const CANARY_SEEDS_MAX = 60
const REPORT_EVERY = 500
/** A campaign goes on behind a failure, so that one run shows several; this many are enough. */
const FAILURES_MAX = 10

interface Bar {
  readonly name: string
  readonly value: number
  readonly must: number
  readonly checked: boolean
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    plain: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => void process.stderr.write(`${text}\n`)

function readNumber(file: URL): number {
  try {
    const stored: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof stored === 'object' && stored !== null && 'next' in stored && typeof stored.next === 'number' ? stored.next : 0
  } catch {
    return 0 // No campaign has run here yet.
  }
}

/** A seed that failed once, with or without extras, and what was wrong. */
interface Regression {
  readonly seed: number
  readonly extras: boolean
  readonly was: string
}

const sizeOf = (extras: boolean): Size => (extras ? FULL_SIZE : PLAIN_SIZE)

function sayFailure(seed: number, extras: boolean, violation: string): void {
  say(`seed ${seed}: ${violation}\nrepeat: npm run sim -- --seed ${seed}${extras ? '' : ' --plain'}`)
}

async function explain(seed: number): Promise<boolean> {
  const first = sizeOf(!values.plain)
  const outcome = await runSeed(seed, { size: first })
  say(`${outcome.scenario}\n${outcome.trace.join(' ')}\n${outcome.crashes} crashes`)
  if (outcome.violation === null) {
    say(`seed ${seed}: every law holds`)
    return true
  }
  say(`seed ${seed}: ${outcome.violation}`)
  const small = await shrink(seed, first)
  if (small !== null)
    say(`with ${JSON.stringify(small.size)}: ${small.outcome.violation ?? ''}\n${small.outcome.scenario}\n${small.outcome.trace.join(' ')}`)
  return false
}

async function runRegressions(): Promise<Bar> {
  const all = JSON.parse(readFileSync(REGRESSIONS, 'utf8')) as readonly Regression[]
  let good = 0
  for (const { seed, extras } of all) {
    const { violation } = await runSeed(seed, { size: sizeOf(extras) })
    if (violation === null) good++
    else sayFailure(seed, extras, violation)
  }
  return { name: 'regressions', value: good, must: all.length, checked: good === all.length }
}

async function runSeeds(first: number, count: number, keep: boolean): Promise<Bar> {
  const started = process.hrtime.bigint()
  let crashes = 0
  let failures = 0
  let held = 0
  for (let seed = first; seed < count && failures < FAILURES_MAX; seed++) {
    const outcome = await runSeed(seed)
    crashes += outcome.crashes
    if (outcome.violation !== null) {
      sayFailure(seed, true, outcome.violation)
      failures++
    } else held++
    if (keep) saveCursor(seed + 1)
    if ((seed + 1) % REPORT_EVERY !== 0) continue
    const ms = Number(process.hrtime.bigint() - started) / 1e6 / (seed + 1 - first)
    say(`${seed + 1} seeds, ${failures} of them failed, ${ms.toFixed(0)} ms each, ${crashes} crashes`)
  }
  return { name: 'seeds', value: Math.min(first, count) + held, must: count, checked: failures === 0 }
}

function saveCursor(next: number): void {
  mkdirSync(STATE, { recursive: true })
  writeFileSync(CURSOR, JSON.stringify({ next }))
}

/** The same seed twice gives the same bytes. */
async function runRepeats(count: number): Promise<Bar> {
  let good = 0
  let all = 0
  for (let seed = 0; seed < count; seed += REPEAT_EVERY) {
    all++
    const [one, two] = [await runSeed(seed), await runSeed(seed)]
    if (one.digest === two.digest && one.digest !== '') good++
    else say(`seed ${seed} gives other bytes the second time\nrepeat: npm run sim -- --only repeat`)
  }
  return { name: 'repeat', value: good, must: all, checked: good === all }
}

/** Plants with a deliberate error must fail. */
async function runCanaries(): Promise<Bar> {
  let caught = 0
  for (const [name, mutant] of Object.entries(CANARIES)) {
    let seed = 0
    while (seed < CANARY_SEEDS_MAX && (await runSeed(seed, { mutant })).violation === null) seed++
    if (seed < CANARY_SEEDS_MAX) {
      caught++
      say(`canary ${name}: noticed at seed ${seed}`)
    } else say(`canary ${name}: not noticed in ${CANARY_SEEDS_MAX} seeds`)
  }
  const all = Object.keys(CANARIES).length
  return { name: 'canary', value: caught, must: all, checked: caught === all }
}

function print(bar: Bar): void {
  if (values.json)
    process.stdout.write(
      `${JSON.stringify({ name: bar.name, value: bar.value, unit: 'runs', must: bar.must, aim: bar.must, checked: bar.checked, baseline: null })}\n`,
    )
  else process.stdout.write(`${bar.checked ? 'ok' : 'FAILED'} ${bar.name}: ${bar.value} of ${bar.must}\n`)
  if (!bar.checked) process.exitCode = 1
}

async function campaign(): Promise<void> {
  const keep = !values.quick
  const count = values.quick ? QUICK_SEEDS : Number(values.seeds ?? SEEDS)
  const stored = keep && !values.fresh ? readNumber(CURSOR) : 0
  const wanted = (name: string): boolean => values.only === undefined || values.only === name
  if (wanted('regressions')) print(await runRegressions())
  if (wanted('seeds')) print(await runSeeds(stored >= count ? 0 : stored, count, keep))
  if (wanted('repeat')) print(await runRepeats(values.quick ? QUICK_SEEDS : Math.min(count, 1_000)))
  if (wanted('canary')) print(await runCanaries())
}

if (values.seed === undefined) await campaign()
else if (!(await explain(Number(values.seed)))) process.exitCode = 1
