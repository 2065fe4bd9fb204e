// One seed is one run: a random plant, random input, random bad luck; then everything heals, comes to rest, and must hold the laws.
import { rangeByTime, replayPlan, RunningPipeline, seededRandom } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'
import { Feed } from './feed.ts'
import type { Request } from './feed.ts'
import { checkAppends, checkResults, checkSame } from './laws.ts'
import { digestOf, endsText, readSeen } from './reading.ts'
import { Violation, violated } from './recipe.ts'
import type { Seen } from './recipe.ts'
import { FULL_SIZE, describeScenario, makeScenario } from './scenario.ts'
import type { Scenario, Size } from './scenario.ts'
import { World, errorText } from './world.ts'
import type { Mutant } from './world.ts'

export interface RunOptions {
  readonly size?: Size
  readonly mutant?: Mutant
}

export interface Outcome {
  readonly seed: number
  readonly violation: string | null
  readonly scenario: string
  readonly trace: readonly string[]
  /** Hash of every byte that is left. */
  readonly digest: string
  readonly crashes: number
}

const REST_ROUNDS_MAX = 400
const REST_MS = 2_000
const LATER_MS = 1_800_000
const REPLAY_LIMIT_MS = 600_000

export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const random = seededRandom(seed)
  const scenario = makeScenario(seed, random.fork(), options.size ?? FULL_SIZE)
  const world = new World(scenario, random.fork(), options.mutant ?? {})
  let violation: string | null = null
  let digest = ''
  try {
    digest = await run(world, random.fork())
  } catch (error) {
    violation = error instanceof Violation ? error.message : errorText(error)
  }
  return { seed, violation, scenario: describeScenario(scenario), trace: world.trace, digest, crashes: world.crashes }
}

async function run(world: World, random: Random): Promise<string> {
  const { scenario } = world
  const feed = new Feed(scenario, random.fork(), world.time.nowMs())
  const luck = random.fork()
  if (!(await world.start())) violated('the plant does not start')
  for (let action = 0; action < scenario.actions; action++) {
    await act(world, feed, luck, pickAction(luck, scenario))
    if (world.isDead) {
      world.trace.push('power gone')
      await world.crash()
      await sendAgain(world, feed)
    }
  }
  await heal(world, feed)
  await checkAppends(world, feed)
  const seen = await checkResults(world)
  await checkQuiet(world)
  world.trace.push('crash at rest')
  await world.crash()
  await rest(world)
  const after = await readSeen(world, world.pipeline, '')
  checkSame('after a crash at rest', seen, after)
  if (scenario.replays && !scenario.hasThrough) await checkReplay(world, after)
  world.checkFailures()
  return digestOf(world)
}

type Action = 'feed' | 'feed-later' | 'prices' | 'wait' | 'idle' | 'kill' | 'cut' | 'cut-start' | 'full' | 'look' | 'restart'

function pickAction(random: Random, scenario: Scenario): Action {
  const roll = random.below(100)
  if (roll < 45) return 'feed'
  if (roll < 55) return 'feed-later'
  if (roll < 62) return scenario.hasPrices ? 'prices' : 'feed'
  if (roll < 72) return 'wait'
  if (roll < 77) return 'idle'
  if (roll < 83) return 'kill'
  if (roll < 90) return 'cut'
  if (roll < 93) return 'cut-start'
  if (roll < 95) return scenario.log === 'embedded' ? 'full' : 'wait'
  if (roll < 97) return 'look'
  return 'restart'
}

async function act(world: World, feed: Feed, random: Random, action: Action): Promise<void> {
  world.trace.push(action)
  switch (action) {
    case 'feed':
    case 'feed-later':
    case 'prices': {
      feed.moveTo(world.time.nowMs())
      const request = action === 'prices' ? feed.prices() : feed.events()
      return deliver(world, feed, request, action === 'feed-later' ? 0 : 1 + random.below(30))
    }
    case 'wait':
      return world.time.advance(1 + random.below(200))
    case 'idle':
      return world.time.advance(random.below(90_000))
    case 'kill':
      await someEvents(world, random.below(200))
      await world.crash()
      return sendAgain(world, feed)
    case 'cut':
      return world.cutPowerAfter(random.below(400))
    case 'cut-start':
      await world.kill()
      world.cutPowerAfter(random.below(300))
      if (!(await world.start())) await world.crash()
      return sendAgain(world, feed)
    case 'full': {
      const forMs = random.below(3_000)
      world.squeeze(random.below(60_000), forMs)
      await deliver(world, feed, feed.events(), 50)
      await world.time.advance(forMs)
      return world.relax()
    }
    case 'look':
      for (const { name } of world.pipeline.topology.tables)
        if (!world.isDead) await world.time.until(settledOf(world.pipeline.table(name)), 1_000).catch(() => undefined)
      return
    case 'restart':
      if (!(await world.restart())) await world.crash()
      return sendAgain(world, feed)
  }
}

/** A condition that holds once the promise has settled, whichever way. */
function settledOf(promise: Promise<unknown>): () => boolean {
  let settled = false
  const settle = (): void => void (settled = true)
  promise.then(settle, settle)
  return () => settled
}

/** Lets that many events of the scheduler happen, so that a crash comes in the middle of something. */
async function someEvents(world: World, count: number): Promise<void> {
  let left = count
  await world.time.until(() => left-- <= 0 || world.isDead, 50).catch(() => undefined)
}

async function deliver(world: World, feed: Feed, request: Request, waitMs: number): Promise<void> {
  // Answers that never come belong to a dead log; refusals of a full one leave the request open.
  void feed.send(world.log, request).catch(() => undefined)
  if (waitMs > 0) await world.time.advance(waitMs)
}

/** Senders repeat what nobody answered, with the same key. */
async function sendAgain(world: World, feed: Feed): Promise<void> {
  for (const request of feed.unanswered()) {
    if (world.isDead) return
    await world.time.until(settledOf(feed.send(world.log, request)), 60_000)
  }
}

/** No more bad luck: the rest is sent, and the plant comes to rest. */
async function heal(world: World, feed: Feed): Promise<void> {
  world.trace.push('heal')
  world.relax()
  if (world.isDead) await world.crash()
  world.cutPowerAfter(Number.POSITIVE_INFINITY)
  await sendAgain(world, feed)
  await world.time.advance(1_000)
  if (world.scenario.onTime) for (const request of feed.closing()) await world.time.run(feed.send(world.log, request))
  await rest(world)
  world.checkFailures()
}

/** Waits until nothing is behind and nothing is written. */
async function rest(world: World): Promise<void> {
  for (let round = 0, quiet = 0; quiet < 3; round++) {
    const before = endsText(world.log)
    await world.time.advance(REST_MS * (1 + quiet * 20))
    world.checkFailures()
    const lag = world.pipeline.status().tasks.reduce((sum, task) => sum + task.lag, 0)
    quiet = lag === 0 && endsText(world.log) === before ? quiet + 1 : 0
    if (round > REST_ROUNDS_MAX) violated(`the plant does not come to rest, lag ${lag}: ${stuck(world)}`)
  }
}

function stuck(world: World): string {
  return world.pipeline
    .status()
    .tasks.map(
      (task) => `${task.task} ${task.phase} tick ${task.tick} lag ${task.lag}${task.error === null ? '' : ` ${task.error.message}`}`,
    )
    .join('; ')
}

async function checkQuiet(world: World): Promise<void> {
  const before = endsText(world.log)
  await world.time.advance(LATER_MS)
  if (endsText(world.log) !== before) violated('a plant at rest writes')
}

/** A replay along the kept bindings beside the live pipeline, with other luck, gives the same. */
async function checkReplay(world: World, live: Seen): Promise<void> {
  world.trace.push('replay')
  const { plan } = world.scenario.definition
  const copy = replayPlan(plan, 'again', false)
  const range = await world.time.run(rangeByTime(world.log, plan, 0, Number.POSITIVE_INFINITY, 'append'))
  const replay = await world.time.run(
    RunningPipeline.start(copy, { ...world.options(copy), replay: { id: 'again', of: plan.pipeline, range } }),
    REPLAY_LIMIT_MS,
  )
  await world.time.run(replay.finished(), REPLAY_LIMIT_MS)
  const seen = await readSeen(world, replay, '.replay-again')
  await checkResults(world, seen)
  // Several tasks that write into one topic may take turns as they like.
  const isExact = replay.topology.parts.every((part) => part.groups === 1) && !world.scenario.ends.some((end) => end.closesAtEnd === true)
  if (isExact) checkSame('replay', live, seen)
  await world.time.run(replay.stop())
}
