import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { sleep, systemScheduler } from '../base/scheduler.ts'
import { VirtualTime } from './virtual-time.ts'

/** Three tasks that sleep and take turns; returns the order in which things happened. */
async function story(seed: number): Promise<string[]> {
  const time = new VirtualTime({ random: seededRandom(seed) })
  const happened: string[] = []
  const task = async (name: string) => {
    for (let step = 0; step < 3; step++) {
      await time.turn()
      await sleep(time, 10)
      happened.push(`${name}${step}@${time.monotonicMs().toFixed(0)}`)
    }
  }
  await time.run(Promise.all([task('a'), task('b'), task('c')]))
  return happened
}

test('one seed gives one order, other seeds give others, and no order depends on the wall clock', async () => {
  assert.deepEqual(await story(5), await story(5))
  const orders = new Set(await Promise.all(Array.from({ length: 20 }, async (_, seed) => (await story(seed)).join())))
  assert.ok(orders.size > 5, `${orders.size} orders`)
})

test('timers run when their time has come and not before, cancelled ones never', async () => {
  const time = new VirtualTime({ startMs: 1000 })
  const ran: number[] = []
  for (const delayMs of [30, 10, 20]) time.after(delayMs, () => ran.push(delayMs))
  time.after(15, () => ran.push(-1)).cancel()
  await time.advance(9)
  assert.deepEqual([ran, time.nowMs(), time.timerCount], [[], 1009, 3])
  await time.advance(11)
  assert.deepEqual([ran, time.nowMs()], [[10, 20], 1020])
  await time.runUntilIdle()
  assert.deepEqual([ran, time.nowMs()], [[10, 20], 1020], 'idle is reached without waiting for the future')
  await time.until(() => ran.length === 3)
  assert.deepEqual([time.nowMs(), time.nowUs(), time.monotonicMs()], [1030, 1_030_000, 30])
})

test('a timer made by a timer runs in the same advance when it is due', async () => {
  const time = new VirtualTime()
  const ran: number[] = []
  const again = () => {
    ran.push(time.monotonicMs())
    time.after(10, again)
  }
  time.after(10, again)
  await time.advance(35)
  assert.deepEqual(ran, [10, 20, 30])
})

test('settle runs every promise callback and no turn', async () => {
  const time = new VirtualTime()
  let depth = 0
  const deep = async (): Promise<void> => {
    for (; depth < 1000; depth++) await Promise.resolve()
  }
  let turned = false
  void time.turn().then(() => (turned = true))
  void deep()
  await time.settle()
  assert.deepEqual([depth, turned], [1000, false])
  await time.runUntilIdle()
  assert.ok(turned)
})

test('code that polls turn by turn gets older, so that its timeout comes', async () => {
  const time = new VirtualTime()
  const poll = async () => {
    while (time.monotonicMs() < 2) await time.turn()
    return time.monotonicMs()
  }
  assert.ok((await time.run(poll())) >= 2)
})

test('the wall clock may jump without timers noticing', async () => {
  const time = new VirtualTime({ startMs: 10_000 })
  let ran = false
  time.after(100, () => (ran = true))
  time.jumpWall(-5000)
  assert.deepEqual([time.nowMs(), time.monotonicMs()], [5000, 0])
  time.jumpWall(1e6)
  await time.advance(99)
  assert.equal(ran, false)
  await time.advance(1)
  assert.equal(ran, true)
})

test('what never happens is an assertion, a rejection is handed on', async () => {
  const time = new VirtualTime()
  await assert.rejects(
    time.until(() => false, 1000),
    { name: 'AssertionFailure' },
  )
  await assert.rejects(time.run(new Promise(() => undefined), 1000), { name: 'AssertionFailure' })
  await assert.rejects(time.run(Promise.reject(new Error('mine'))), /mine/)
})

test('with real turns only the time is virtual', async () => {
  const time = new VirtualTime({ turn: () => systemScheduler.turn() })
  await time.turn()
  let ran = false
  time.after(5, () => (ran = true))
  await time.advance(5)
  assert.ok(ran)
})
