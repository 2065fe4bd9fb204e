// Replays beside the live pipeline: along its kept bindings, with other luck, to topics of their own.
import { rangeByTime, replayPlan, RunningPipeline } from '@millrace/core/engine'
import { checkResults, checkSame } from './laws.ts'
import type { Seen } from './recipe.ts'
import type { World } from './world.ts'

const REPLAY_LIMIT_MS = 600_000

/** Starts one while the live pipeline works, over what it has read so far. It dies with the plant. */
export async function startReplay(world: World): Promise<void> {
  if (world.replay !== null) return
  const { plan } = world.scenario.definition
  const copy = replayPlan(plan, 'beside', false)
  const range = await world.attempt(rangeByTime(world.log, plan, 0, Number.POSITIVE_INFINITY, 'append'))
  if (range === null) return
  world.replay = await world.attempt(
    RunningPipeline.start(copy, { ...world.options(copy), replay: { id: 'beside', of: plan.pipeline, range } }),
  )
}

/** What was started beside comes to its end. */
export async function endReplay(world: World): Promise<void> {
  if (world.replay === null) return
  await world.time.run(world.replay.finished(), REPLAY_LIMIT_MS)
  world.replay = null
}

/** A replay along the kept bindings beside the live pipeline, with other luck, gives the same. */
export async function checkReplay(world: World, live: Seen): Promise<void> {
  world.trace.push('replay')
  const { plan } = world.scenario.definition
  const copy = replayPlan(plan, 'again', false)
  const range = await world.time.run(rangeByTime(world.log, plan, 0, Number.POSITIVE_INFINITY, 'append'))
  const replay = await world.time.run(
    RunningPipeline.start(copy, { ...world.options(copy), replay: { id: 'again', of: plan.pipeline, range } }),
    REPLAY_LIMIT_MS,
  )
  await world.time.run(replay.finished(), REPLAY_LIMIT_MS)
  const seen = await checkResults(world, { pipeline: replay, suffix: '.replay-again' })
  // Several tasks that write into one topic may take turns as they like, and behind a topic in the middle ticks are cut anew.
  const isExact =
    !world.scenario.hasThrough &&
    replay.topology.parts.every((part) => part.groups === 1) &&
    !world.scenario.ends.some((end) => end.closesAtEnd === true)
  if (isExact) checkSame('replay', live, seen)
  await world.time.run(replay.stop())
}
