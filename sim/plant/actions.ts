// What may happen to a plant while it runs: requests, time, power cuts, full disks, and the extras.
import { isMillraceError } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'
import type { Feed, Request } from './feed.ts'
import { retryLetters } from './letters.ts'
import { violated } from './violation.ts'
import { startReplay } from './replaying.ts'
import { rot } from './rot.ts'
import type { Scenario } from './scenario.ts'
import type { World } from './world.ts'

export type Action = 'feed' | 'feed-later' | 'prices' | 'wait' | 'idle' | 'kill' | 'cut' | 'cut-start' | 'full' | 'look' | 'restart'

type Extra = 'retry' | 'mend' | 'repeat' | 'reserve' | 'stall' | 'clock' | 'replay' | 'rot' | 'restart' | 'idle'

const EXTRA_SHARE = 0.3

/** Something of the extras now and then; else something plain. */
export function pickAction(random: Random, scenario: Scenario): Action | Extra {
  const { extras } = scenario
  if (extras === null || !extras.random.chance(EXTRA_SHARE)) return pickPlain(random, scenario)
  const choices: Extra[] = ['repeat', 'stall', 'restart']
  if (scenario.log === 'embedded' && extras.reserveBytes > 0) choices.push('reserve')
  if (scenario.log === 'embedded' && extras.rots) choices.push('rot', 'rot')
  if (extras.repairs) choices.push('retry', 'retry', 'retry', 'mend')
  if (extras.retentionMs === null) choices.push('clock')
  else choices.push('idle', 'idle', 'idle')
  if (extras.replaysBeside && scenario.replays && !scenario.hasThrough) choices.push('replay')
  return extras.random.pick(choices)
}

function pickPlain(random: Random, scenario: Scenario): Action {
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

export async function act(world: World, feed: Feed, random: Random, action: Action | Extra): Promise<void> {
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
      world.relax()
      // What was refused is sent before anything newer, so that it is not late.
      if (world.scenario.extras === null) return
      await world.time.advance(ASK_AGAIN_MS)
      return sendAgain(world, feed)
    }
    case 'look':
      await world.look()
      return
    case 'restart':
      if (!(await world.restart())) await world.crash()
      return sendAgain(world, feed)
    default:
      return actExtra(world, feed, random, action)
  }
}

const CLOCK_JUMPS_MS = [-3_600_000, -5_000, -300, 700, 5_000, 3_600_000] as const
const STALLS_MS = [100, 1_000, 8_000] as const
const ANSWER_LIMIT_MS = 60_000

async function actExtra(world: World, feed: Feed, random: Random, action: Exclude<Extra, Action>): Promise<void> {
  switch (action) {
    case 'retry':
      return duringLife(world, retryLetters(world, random, random.pick([0.3, 1])))
    case 'mend':
      world.scenario.repair.broken = false
      return
    case 'repeat': {
      const request = feed.repeatable()
      if (request !== null) await answered(world, feed.send(world.log, request))
      return
    }
    case 'reserve':
      return overReserve(world, feed, random)
    case 'stall':
      return world.stall(random, random.pick(STALLS_MS))
    case 'clock':
      return world.time.jumpWall(random.pick(CLOCK_JUMPS_MS))
    case 'replay':
      return duringLife(world, startReplay(world))
    case 'rot':
      await duringLife(
        world,
        rot(world, feed, random).then(async (isUp) => {
          if (!isUp) await world.crash()
        }),
      )
      return sendAgain(world, feed)
  }
}

/** Work that a power cut may end. */
async function duringLife(world: World, work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!world.isDead) throw error
  }
}

/** The answer to a request: null when it was taken, the refusal otherwise; null, too, when the power went first. */
async function answered(world: World, sent: Promise<void>): Promise<unknown> {
  let outcome: { readonly refusal: unknown } | null = null
  sent.then(
    () => (outcome = { refusal: null }),
    (refusal: unknown) => (outcome = { refusal }),
  )
  await world.time.until(() => outcome !== null || world.isDead, ANSWER_LIMIT_MS)
  if (world.isDead || outcome === null) return null
  const { refusal } = outcome as { readonly refusal: unknown }
  if (refusal !== null && !(isMillraceError(refusal) && refusal.code === 'MR_LOG_FULL')) throw refusal
  return refusal
}

/** Below the reserve outsiders are refused and tasks go on; with room again everything goes on by itself. */
async function overReserve(world: World, feed: Feed, random: Random): Promise<void> {
  world.squeezeToReserve()
  await world.time.advance(ASK_AGAIN_MS)
  if (world.isDead) return world.relax()
  // Trimming may have made room meanwhile.
  world.squeezeToReserve()
  const request = feed.events()
  const refusal = await answered(world, feed.send(world.log, request))
  if (refusal === null && !world.isDead) violated('an append is taken that leaves less than the reserve')
  await world.time.advance(random.below(3_000))
  world.relax()
  await world.time.advance(ASK_AGAIN_MS)
  if (world.isDead) return
  if ((await answered(world, feed.send(world.log, request))) !== null) violated('a log with room again refuses an append')
}

/** The log asks for the free space as seldom as this. */
const ASK_AGAIN_MS = 600

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
export async function sendAgain(world: World, feed: Feed): Promise<void> {
  for (const request of feed.unanswered()) {
    if (world.isDead) return
    await world.time.until(settledOf(feed.send(world.log, request)), 60_000)
  }
}
