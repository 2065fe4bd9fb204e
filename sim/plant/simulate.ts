// One seed is one run: a random plant, random input, random bad luck; then everything heals, comes to rest, and must hold the laws.
import { seededRandom } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'
import { Feed } from './feed.ts'
import { act, pickAction, sendAgain } from './actions.ts'
import { checkAppends, checkResults, checkSame } from './laws.ts'
import { retryLetters } from './letters.ts'
import { digestOf, endsText, keepSources, readSeen } from './reading.ts'
import { Violation, violated } from './violation.ts'
import { checkReplay, endReplay } from './replaying.ts'
import { checkRot, passRot } from './rot.ts'
import { FULL_SIZE, describeScenario, makeScenario } from './scenario.ts'
import type { Size } from './scenario.ts'
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
const LATER_MS = 600_000

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
  if (scenario.extras !== null) feed.becomeProducer(await world.time.run(world.log.allocateProducerId()))
  for (let action = 0; action < scenario.actions; action++) {
    const action = pickAction(luck, scenario)
    world.trace.push(action)
    world.noteVisible()
    await act(world, feed, luck, action)
    if (world.isDead) {
      world.trace.push('power gone')
      await world.crash()
      await sendAgain(world, feed)
    }
    if (scenario.retentionMs !== null) await keepSources(world)
  }
  await heal(world, feed)
  await checkAppends(world, feed)
  const seen = await checkResults(world)
  await checkQuiet(world)
  const inOrder = scenario.extras?.restartsAtRest === true
  world.trace.push(inOrder ? 'restart at rest' : 'crash at rest')
  if (!inOrder) await world.crash()
  else if (!(await world.restart())) violated('the plant does not start again')
  await rest(world)
  const after = await readSeen(world, world.pipeline, '')
  checkSame('after a start at rest', seen, after)
  // A look-up in a topic's table behind `through` is refused in replays.
  if (scenario.replays && !(scenario.hasThrough && scenario.hasPrices)) await checkReplay(world, after)
  world.checkFailures()
  const digest = await digestOf(world)
  if (scenario.extras?.rotsAtRest === true && scenario.log === 'embedded') await checkRot(world)
  return digest
}

/** No more bad luck: the rest is sent, and the plant comes to rest. */
async function heal(world: World, feed: Feed): Promise<void> {
  world.trace.push('heal')
  world.relax()
  if (world.isDead) await world.crash()
  world.cutPowerAfter(Number.POSITIVE_INFINITY)
  // The power may have gone before anybody looked at a damage.
  if (world.scenario.extras !== null && !(await passRot(world, world.scenario.extras.random)))
    violated('the plant does not go on behind a damage')
  await sendAgain(world, feed)
  await world.time.advance(1_000)
  if (world.scenario.extras?.repairs === true) {
    world.scenario.repair.broken = false
    await retryLetters(world, world.scenario.extras.random, 0.5)
  }
  await endReplay(world)
  if (world.scenario.onTime) for (const request of feed.closing()) await world.time.run(feed.send(world.log, request))
  await rest(world)
  world.checkFailures()
}

/** Waits until nothing is behind and nothing is written. */
async function rest(world: World): Promise<void> {
  for (let round = 0, quiet = 0; quiet < 3; round++) {
    const before = endsText(world.log)
    if (world.scenario.retentionMs !== null) await keepSources(world)
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
