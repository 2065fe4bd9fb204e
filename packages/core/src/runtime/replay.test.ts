// What a replay does before its first tick, beside a live pipeline that must not notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { MemoryLog } from '../log/memory-log.ts'
import { VirtualTime } from '../testing/virtual-time.ts'
import { progressBatch } from './exchange/exchange-input.fixture.ts'
import { keptTicks } from './replay.ts'
import { progressTopic } from './topic-names.ts'

const TICKS = 60_000

test('the ticks of days are read with turns for everybody else, in order and each once', async () => {
  const time = new VirtualTime()
  const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(1), gaps: false })
  const topic = progressTopic('web', 'part')
  await time.run(log.createTopic(topic, { internal: true }))
  for (let tick = 1; tick <= TICKS;) {
    const parts = Array.from({ length: 2000 }, () => ({ topic, partition: 0, batch: progressBatch(tick++, []) }))
    await time.run(log.append(parts))
  }
  let turns = 0
  const scheduler: Scheduler = {
    after: (ms, run) => time.after(ms, run),
    turn: () => {
      turns++
      return Promise.resolve()
    },
  }
  const settings = { id: 'r', of: 'web', range: { topics: new Map() } }
  const kept = await time.run(keptTicks(log, settings, 'part', 0, new Map(), scheduler))
  assert.deepEqual(
    kept.map(({ tick }) => tick),
    Array.from({ length: TICKS }, (_, index) => index + 1),
  )
  assert.ok(turns >= 40, `${turns} turns`)
})
