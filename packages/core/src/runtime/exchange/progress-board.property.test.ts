// A board that is opened late knows for every tick that a reader has still to apply the same clocks as one that was there all the time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { seededRandom } from '../../base/random.ts'
import { MemoryLog } from '../../log/memory-log.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { progressBatch } from './exchange-input.fixture.ts'
import { writeHead } from './exchange-output.ts'
import type { BoardPart } from './progress-board.ts'
import { ProgressBoard } from './progress-board.ts'

const PARTS: readonly BoardPart[] = [
  { name: 'P', groups: 2, progressTopic: 'p', exchanges: [], producers: [], readers: ['R'] },
  { name: 'R', groups: 1, progressTopic: 'r', exchanges: ['x'], producers: ['P'], readers: [] },
]

const history = fc.record({
  gaps: fc.boolean(),
  seed: fc.nat(),
  records: fc.integer({ min: 1, max: 6_000 }),
  /** A clock changes once in so many records. */
  changesEvery: fc.constantFrom(1, 3, 700, 2_000, 100_000),
  /** Where the reader stands, as a share of the ticks; null when it has never committed. */
  passed: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
})

test('a reader however far behind finds after a restart the clocks that it would have had without', async () => {
  await fc.assert(
    fc.asyncProperty(history, async ({ gaps, seed, records, changesEvery, passed }) => {
      const time = new VirtualTime()
      const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(seed), gaps })
      for (const [topic, partitions] of [
        ['p', 2],
        ['r', 1],
        ['x', 1],
      ] as const)
        await time.run(log.createTopic(topic, { partitions }))
      const always = new ProgressBoard(log, PARTS)
      await time.run(always.open())
      for (let tick = 1; tick <= records;) {
        const parts = Array.from({ length: Math.min(200, records + 1 - tick) }, () => {
          const entries =
            tick === 1 || tick % changesEvery === 0 ? [{ tick, watermark: tick * 10, wallMs: tick, status: 'active' as const }] : []
          return { topic: 'p', partition: 0, batch: progressBatch(tick++, entries) }
        })
        await time.run(log.append(parts))
        await time.run(always.refresh())
      }
      await time.run(
        log.append([{ topic: 'p', partition: 1, batch: progressBatch(records, [{ tick: 1, watermark: 1, wallMs: 1, status: 'ended' }]) }]),
      )
      await time.run(always.refresh())
      const through = Math.floor(records * (passed ?? 0.3))
      if (passed === null) {
        // It has never committed: the oldest batch of its exchange is kept.
        const batch = new RecordBatchBuilder(512)
        batch.append(null, writeHead({ producer: 0, tick: through + 1, running: 1 }), 0)
        await time.run(log.append([{ topic: 'x', partition: 0, batch: batch.finish().slice() }]))
      } else await time.run(log.append([{ topic: 'r', partition: 0, batch: progressBatch(through, []) }]))
      const late = new ProgressBoard(log, PARTS)
      await time.run(late.open())
      await time.run(always.refresh())
      assert.equal(late.frontier(['P']), records)
      for (const tick of [through, through + 1, Math.floor((through + records) / 2), records].filter((each) => each >= through))
        assert.deepEqual(late.clockAt(['P'], tick), always.clockAt(['P'], tick), `tick ${tick}`)
      assert.deepEqual(late.clockTicks(['P'], through, records), always.clockTicks(['P'], through, records))
      always.close()
      late.close()
    }),
    { numRuns: 40 },
  )
})

test('old progress goes when replay and every reader have done with it, and never the newest record', async () => {
  const day = 86_400_000
  const time = new VirtualTime()
  const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(1), gaps: false })
  await time.run(log.createTopic('p', { partitions: 2 }))
  for (const topic of ['r', 'x']) await time.run(log.createTopic(topic))
  const board = new ProgressBoard(log, PARTS, { clock: time, owns: () => true })
  await time.run(board.open())
  const state = async (topic: string, partition: number, tick: number): Promise<void> => {
    const entry = { tick, watermark: tick, wallMs: tick, status: 'active' as const }
    await time.run(log.append([{ topic, partition, batch: progressBatch(tick, [entry]) }]))
    await time.run(board.refresh())
  }
  const kept = (topic: string, partition: number): number => {
    const ends = log.ends(topic)[partition]
    return ends === undefined ? -1 : ends.end - ends.start
  }
  await state('p', 1, 1)
  for (let tick = 1; tick <= 20; tick++) {
    await state('p', 0, tick)
    if (tick <= 5) await state('r', 0, tick)
    await time.advance(day)
  }
  await time.run(board.refresh())
  assert.ok(kept('p', 0) >= 16, 'the clocks behind tick 5 are needed by the reader')
  assert.ok(kept('p', 0) <= 17, 'what the reader has passed is gone')
  assert.ok(kept('p', 1) >= 1, 'the newest record stays, however old')
  await state('r', 0, 20)
  await time.advance(day)
  await time.run(board.refresh())
  assert.ok(kept('p', 0) <= 8 && kept('p', 0) >= 6, `${kept('p', 0)} records of the last days`)
  const late = new ProgressBoard(log, PARTS)
  await time.run(late.open())
  assert.deepEqual([late.through('P', 0), late.through('P', 1), late.through('R', 0)], [20, 1, 20])
})
