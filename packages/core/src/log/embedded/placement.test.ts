// Which batches go by reference while the halves of the journal differ in size.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { part } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { newTopicSettings } from '../topic.ts'
import { openHalf } from './half.ts'
import { chainSeed, Journal } from './journal.ts'
import { Placement } from './placement.ts'
import { LogState } from './state.ts'

const SMALL = 16_384

function journalOf(bytes: readonly [number, number], active: number): Journal {
  const disk = new SimulatedDisk({ random: seededRandom(1), scheduler: new VirtualTime() })
  const run = { number: 1, salt: 1 }
  const halves = [openHalf(disk, '', 0, bytes[0]), openHalf(disk, '', 1, bytes[1])] as const
  return new Journal(halves, { run, half: active, position: 0, sequence: 1, previousCrc: chainSeed(run) })
}

test('a request of any size is taken in both halves, however much one has grown: by reference above a quarter of the smaller', () => {
  const state = new LogState('')
  state.apply({ t: 'topic', name: 't', id: 't1', settings: newTopicSettings('t', { partitions: 4 }), firstPartition: 1 })
  for (const bytes of [
    [SMALL, SMALL],
    [SMALL, 8 * SMALL],
    [8 * SMALL, SMALL],
  ] as const) {
    for (const active of [0, 1]) {
      const journal = journalOf(bytes, active)
      for (let recordBytes = 100; recordBytes < 16 * SMALL; recordBytes *= 2) {
        const placement = new Placement(state, 1 << 26, 1 << 26)
        const parts = Array.from({ length: 4 }, (_, partition) => part('t', ['.'.repeat(recordBytes)], partition))
        const plan = placement.plan(parts, 0, journal)
        placement.reset()
        assert.equal(plan.batches.length, 4)
        const size = parts.reduce((sum, { batch }) => sum + batch.length, 0)
        assert.equal(plan.inlineBytes, size > SMALL / 4 ? 0 : size)
        assert.ok(plan.batches.every(({ byReference }) => byReference === size > SMALL / 4))
      }
    }
  }
})
