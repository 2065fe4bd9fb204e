/**
 * Campaign over the seeds of the tick model. `--seeds N` how many (default 100000), `--seed N` one seed with its trace, `--quick` 2000,
 * `--mutant NAME` with a deliberate error, `--json` one line of JSON on standard output, `--fresh` forget the cursor. Exit code 1 on failure.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runSeed, shorten } from './model.ts'
import { MUTANTS } from './mutants.ts'
import type { Mutant } from './mutants.ts'

const CURSOR_DIR = new URL('../state/', import.meta.url)
const CURSOR = new URL('ticks.json', CURSOR_DIR)

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
})
const isMutant = (name: string): name is Mutant => Object.hasOwn(MUTANTS, name)
if (values.mutant !== undefined && !isMutant(values.mutant))
  throw new Error(`no mutant '${values.mutant}'; there are ${Object.keys(MUTANTS).join(', ')}`)
const mutant = values.mutant

function explain(seed: number): void {
  const { violation, steps, world } = runSeed(seed, { mutant })
  for (const plan of world.scenario.tasks) {
    process.stderr.write(
      `task ${plan.id}: stage ${plan.stage} ${plan.operator}, binds ${plan.owned.map(({ partition, table }) => `${partition}${table ? 't' : ''}`).join(' ') || '-'}, reads ${plan.feeds.map(({ producer, table }) => `${producer}${table ? 't' : ''}`).join(' ') || '-'}\n`,
    )
  }
  if (violation === undefined)
    return void process.stderr.write(
      `seed ${seed}: every law holds over ${steps.length} steps, ${world.log.writes} commits, ${world.crashes} crashes\n`,
    )
  const shortest = shorten(seed, steps, violation.law, mutant)
  const trace: string[] = []
  const again = runSeed(seed, { mutant, steps: shortest, trace })
  process.stderr.write(
    `seed ${seed}: ${violation.law} ${again.violation?.what}\n${shortest.length} of ${steps.length} steps:\n${trace.slice(0, 120).join('\n')}\n`,
  )
  process.stderr.write(
    `repeat: node --conditions=mr-source sim/ticks/run.ts --seed ${seed}${mutant === undefined ? '' : ` --mutant ${mutant}`}\n`,
  )
}

function readCursor(): number {
  try {
    const stored: unknown = JSON.parse(readFileSync(CURSOR, 'utf8'))
    return typeof stored === 'object' && stored !== null && 'next' in stored && typeof stored.next === 'number' ? stored.next : 0
  } catch {
    return 0 // No campaign has run here yet.
  }
}

function campaign(count: number, first: number, keep: boolean): number | undefined {
  const started = process.hrtime.bigint()
  for (let seed = first; seed < count; seed++) {
    if (runSeed(seed, { mutant }).violation !== undefined) return seed
    if ((seed + 1) % 5000 !== 0) continue
    process.stderr.write(
      `${seed + 1} seeds hold, ${(Number(process.hrtime.bigint() - started) / 1e6 / (seed + 1 - first)).toFixed(2)} ms each\n`,
    )
    if (!keep) continue
    mkdirSync(CURSOR_DIR, { recursive: true })
    writeFileSync(CURSOR, JSON.stringify({ next: seed + 1 }))
  }
  return undefined
}

if (values.seed !== undefined) {
  const seed = Number(values.seed)
  explain(seed)
  process.exitCode = runSeed(seed, { mutant }).violation === undefined ? 0 : 1
} else {
  const count = values.quick ? 2000 : Number(values.seeds)
  const keep = !values.quick && mutant === undefined
  const stored = keep && !values.fresh ? readCursor() : 0
  const first = stored >= count ? 0 : stored
  const failed = campaign(count, first, keep)
  if (failed !== undefined) explain(failed)
  if (values.json)
    process.stdout.write(
      `${JSON.stringify({ name: 'ticks-seeds', value: failed ?? count, unit: 'seeds', must: count, aim: count, checked: failed === undefined, baseline: null })}\n`,
    )
  process.exitCode = failed === undefined ? 0 : 1
}
