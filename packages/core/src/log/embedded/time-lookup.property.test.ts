// From a time to an offset over many small segments, against a scan of everything that was appended: through checkpoints, trims, restarts
// and power cuts. By event time the answer is exact; by time of append it is never too late, and without a crash less than a second early.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../base/random.ts'
import { batchOf } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { INDEX_EVERY_MS } from './index-file.ts'
import { openEmbeddedLog } from './open.ts'

interface Appended {
  readonly offset: number
  readonly appendMs: number
  readonly eventMs: number
}

const appends = fc.record({
  do: fc.constant('append' as const),
  count: fc.integer({ min: 1, max: 60 }),
  everyMs: fc.constantFrom(0, 1, 10, 300, 1_500),
  bytes: fc.constantFrom(10, 200, 1_500),
  eventMs: fc.integer({ min: 0, max: 5_000 }),
})
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: appends },
    { weight: 2, arbitrary: fc.constant({ do: 'checkpoint' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), share: fc.double({ min: 0, max: 0.4, noNaN: true }) }) },
  ),
  { minLength: 1, maxLength: 14 },
)
type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never

class World {
  readonly time = new VirtualTime()
  disk = new SimulatedDisk({ random: seededRandom(7), scheduler: this.time })
  appended: Appended[] = []
  /** A crash may take index rows away, and with them the times of what lies between two rows. */
  crashed = false
  log: EmbeddedLog | null = null

  async open(): Promise<EmbeddedLog> {
    const { time, disk } = this
    return (this.log = await time.run(
      openEmbeddedLog({
        folder: 'log',
        disk,
        clock: time,
        scheduler: time,
        journalHalfBytes: 16_384,
        journalHalfBytesMax: 16_384,
        segmentBytes: 8_192,
        referenceBytes: 1_024,
        diskReserveBytes: 0,
        maintainEveryMs: 0,
      }),
    ))
  }

  async step(log: EmbeddedLog, step: Step): Promise<EmbeddedLog> {
    const { time } = this
    if (step.do === 'append') {
      for (let n = 0; n < step.count; n++) {
        await time.advance(step.everyMs)
        const eventMs = step.eventMs + ((n * 37) % 100)
        const { firstOffsets } = await time.run(
          log.append([{ topic: 't', partition: 0, batch: batchOf(['x'.repeat(step.bytes)], eventMs) }]),
        )
        this.appended.push({ offset: firstOffsets[0] as number, appendMs: time.nowMs(), eventMs })
      }
      return log
    }
    if (step.do === 'checkpoint') await time.run(log.checkpoint())
    else if (step.do === 'trim') {
      const { start, end } = log.ends('t')[0] ?? { start: 0, end: 0 }
      await time.run(log.trim('t', 0, start + Math.floor((end - start) * step.share)))
    } else if (step.do === 'reopen') {
      await time.run(log.close())
      return this.open()
    } else {
      this.disk = this.disk.crash()
      this.crashed = true
      await time.run(log.close().catch(() => undefined))
      return this.open()
    }
    return log
  }

  async check(log: EmbeddedLog): Promise<void> {
    const { start, end } = log.ends('t')[0] ?? { start: 0, end: 0 }
    const { time } = this
    const stride = Math.max(1, Math.floor(this.appended.length / 40))
    let largest = -1
    const running = this.appended.map(({ eventMs }) => (largest = Math.max(largest, eventMs)))
    for (let at = 0; at < this.appended.length; at += stride) {
      for (const delta of [-1, 0, 1]) {
        const wantedMs = (this.appended[at]?.appendMs ?? 0) + delta
        const wanted = this.appended.find(({ appendMs, offset }) => appendMs >= wantedMs && offset >= start)?.offset ?? end
        const got = await time.run(log.offsetForTime('t', 0, wantedMs, 'append'))
        assert.ok(got >= start && got <= wanted, `append ${wantedMs}: ${got}, wanted ${wanted}, start ${start}`)
        const early = this.appended.filter(({ offset }) => offset >= got && offset < wanted)
        if (!this.crashed)
          assert.ok(
            (early.at(-1)?.appendMs ?? 0) - (early[0]?.appendMs ?? 0) < INDEX_EVERY_MS,
            `append ${wantedMs}: ${got}, wanted ${wanted}`,
          )
        const eventMs = (this.appended[at]?.eventMs ?? 0) + delta
        const reached = running.findIndex((ms) => ms >= eventMs)
        const exact = reached < 0 ? end : (this.appended[reached]?.offset ?? 0)
        const found = await time.run(log.offsetForTime('t', 0, eventMs, 'event'))
        // What retention took away took its times with it: below the start only the side matters.
        if (exact >= start) assert.equal(found, exact, `event ${eventMs}`)
        else assert.ok(found >= start && found <= end)
      }
    }
  }
}

/** Recovery finds the older batches in the second half of the journal and the newer ones in the first. */
const AROUND_THE_JOURNAL: Step[] = [
  { do: 'checkpoint' },
  { do: 'append', count: 6, everyMs: 0, bytes: 1_500, eventMs: 0 },
  { do: 'append', count: 60, everyMs: 0, bytes: 200, eventMs: 0 },
  { do: 'append', count: 3, everyMs: 0, bytes: 1_500, eventMs: 0 },
  { do: 'crash' },
]

test('LOG look-up by time agrees with a scan, whatever checkpoints, trims, restarts and power cuts came before', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const world = new World()
      let log = await world.open()
      await world.time.run(log.createTopic('t'))
      for (const step of list) {
        log = await world.step(log, step)
        await world.check(log)
      }
      await world.time.run(log.close())
    }),
    { numRuns: 60, examples: [[AROUND_THE_JOURNAL]] },
  )
})
