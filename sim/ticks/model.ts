/**
 * One seed of the tick protocol: draw a scenario, run wild, drain, check the laws. Read `task.ts` for the protocol itself, `laws.ts` for
 * what must hold, `oracle.ts` for the computation that it must equal.
 */
import {
  bindingsOf,
  checkAlignment,
  checkEnds,
  checkIsolation,
  checkPrefixes,
  checkProgress,
  checkQuiet,
  checkRoom,
  checkSums,
} from './laws.ts'
import type { Violation } from './laws.ts'
import type { Mutant } from './mutants.ts'
import { drawScenario } from './plan.ts'
import type { Scenario } from './plan.ts'
import { createWorld, doStep, drawSteps } from './world.ts'
import type { Step, World } from './world.ts'

export interface SeedResult {
  readonly violation: Violation | undefined
  readonly steps: readonly Step[]
  readonly world: World
}

/** Runs one seed, or the given steps of it. The laws are checked in the order in which a reader would want to hear of them. */
export function runSeed(
  seed: number,
  options: { readonly mutant?: Mutant | undefined; readonly steps?: readonly Step[]; readonly trace?: string[] } = {},
): SeedResult {
  const scenario = { ...drawScenario(seed), firesBefore: options.mutant === 'fire-at-start' }
  const steps = options.steps ?? drawSteps(scenario, Math.min(600, 80 + scenario.tasks.length * 35))
  const world = createWorld(scenario, options.mutant, options.trace)
  for (const step of steps) doStep(world, step)
  options.trace?.push('drain')
  const violation =
    checkProgress(world) ??
    checkPrefixes(world, bindingsOf(world), 'L1') ??
    checkRoom(world) ??
    (seed % 4 === 0 ? checkAlignment(world) : undefined) ??
    (seed % 4 === 2 ? checkIsolation(world) : undefined) ??
    checkEnds(world) ??
    checkQuiet(world) ??
    checkProgress(world) ??
    checkPrefixes(world, bindingsOf(world), 'L1') ??
    checkSums(world) ??
    (seed % 4 === 1 ? replay(world, scenario, options.mutant) : undefined)
  return { violation, steps, world }
}

/** L8: another run, with other luck, along the bindings of the first. */
function replay(first: World, scenario: Scenario, mutant: Mutant | undefined): Violation | undefined {
  const kept = bindingsOf(first)
  const world = createWorld(scenario, mutant, undefined, kept)
  for (const [index, source] of first.sources.entries()) world.sources[index] = source
  for (const step of drawSteps({ ...scenario, seed: scenario.seed ^ 0x2545f491 }, 150)) doStep(world, step)
  const unlawful = checkEnds(world)
  if (unlawful !== undefined) return { law: unlawful.law, what: `in replay: ${unlawful.what}` }
  return checkPrefixes(world, kept, 'L8')
}

/** Shortens a failing list of steps: cuts ever smaller pieces out while the same law still fails. */
export function shorten(seed: number, steps: readonly Step[], law: string, mutant: Mutant | undefined): readonly Step[] {
  let best = steps
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length;) {
      const shorter = [...best.slice(0, at), ...best.slice(at + size)]
      if (runSeed(seed, { mutant, steps: shorter }).violation?.law === law) best = shorter
      else at += size
    }
  }
  return best
}
