import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSeed, shorten } from './model.ts'
import { MUTANTS } from './mutants.ts'
import type { Mutant } from './mutants.ts'

const SEEDS = 2000
const MUTANT_SEEDS = 400

test(`every law holds over ${SEEDS} seeds`, () => {
  let crashes = 0
  let refused = 0
  for (let seed = 0; seed < SEEDS; seed++) {
    const { violation, world } = runSeed(seed)
    assert.equal(violation, undefined, `repeat: node --conditions=mr-source sim/ticks/run.ts --seed ${seed}`)
    crashes += world.crashes
    refused += world.refused
  }
  assert.ok(crashes > SEEDS && refused > 100, `the luck was not bad enough: ${crashes} crashes, ${refused} refused commits`)
})

test('one seed is one run', () => {
  for (const seed of [3, 62, 777]) assert.deepEqual(runSeed(seed).world.log, runSeed(seed).world.log)
})

/** The canary: without these failures, the silence of the laws would prove nothing. */
const isMutant = (name: string): name is Mutant => Object.hasOwn(MUTANTS, name)
for (const mutant of Object.keys(MUTANTS).filter(isMutant)) {
  test(`the laws catch ${mutant}: ${MUTANTS[mutant]}`, () => {
    for (let seed = 0; seed < MUTANT_SEEDS; seed++) if (runSeed(seed, { mutant }).violation !== undefined) return
    assert.fail(`no law fails within ${MUTANT_SEEDS} seeds`)
  })
}

test('a failing run is shortened to one that fails by the same law', () => {
  const { violation, steps } = runSeed(13, { mutant: 'no-dedupe' })
  assert.equal(violation?.law, 'L1')
  const shortest = shorten(13, steps, 'L1', 'no-dedupe')
  assert.ok(shortest.length < steps.length / 4, `${shortest.length} of ${steps.length} steps are left`)
  assert.equal(runSeed(13, { mutant: 'no-dedupe', steps: shortest }).violation?.law, 'L1')
})
