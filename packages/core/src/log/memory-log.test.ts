import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { systemScheduler } from '../base/scheduler.ts'
import { logConformance, type LogUnderTest } from '../testing/log-conformance.ts'
import { batchOf, endOf, part, readAll, rejects, textsOf } from '../testing/log-conformance-kit.ts'
import { VirtualTime } from '../testing/virtual-time.ts'
import { must } from '../base/assert.ts'
import { MemoryLog, MemoryStore } from './memory-log.ts'

let seeds = 0

function under(
  store: MemoryStore,
  time: VirtualTime,
  options: { readonly gaps?: boolean; readonly durableTurns?: number } = {},
): LogUnderTest & { readonly log: MemoryLog } {
  const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(seeds++), store, ...options })
  return {
    log,
    advance: (ms) => time.advance(ms),
    nowMs: () => time.nowMs(),
    maintain: async () => log.maintain(),
    reopen: async () => {
      await log.close()
      return under(store, time, options)
    },
    crash: async () => {
      log.crash()
      return under(store, time, options)
    },
    damage: async (topic, partition, offset) => log.damage(topic, partition, offset),
    dispose: () => log.close(),
  }
}

const realTurns = () => new VirtualTime({ turn: () => systemScheduler.turn() })
const open = async () => under(new MemoryStore(), realTurns())

logConformance('MemoryLog', open, { canCrash: true, canDamage: true })
logConformance(
  'MemoryLog without gaps, durable after 4 turns',
  async () => under(new MemoryStore(), realTurns(), { gaps: false, durableTurns: 4 }),
  {
    canCrash: true,
    canDamage: true,
    modelRuns: 20,
  },
)

test('received is answered before anything is visible, durable when it is', async () => {
  const time = new VirtualTime()
  const { log } = under(new MemoryStore(), time, { durableTurns: 3 })
  await log.createTopic('t')
  await log.append([part('t', ['a'])], { durability: 'received' })
  assert.equal(endOf(log, 't'), 0)
  let durable = false
  const append = log.append([part('t', ['b'])]).then(() => (durable = true))
  await time.settle()
  assert.equal(durable, false)
  await time.run(append)
  assert.deepEqual(await textsOf(log, 't'), ['a', 'b'])
})

test('a crash loses what was only received, and its offsets are used by what comes after', async () => {
  const time = new VirtualTime()
  const first = under(new MemoryStore(), time)
  await first.log.createTopic('t')
  await time.run(first.log.append([part('t', ['a'])]))
  await first.log.append([part('t', ['lost'])], { durability: 'received' })
  const { log } = (await first.crash?.()) ?? first
  await time.run(log.append([part('t', ['b'])]))
  assert.deepEqual(await textsOf(log, 't'), ['a', 'b'])
})

test('gaps really occur, inside the log and at its end', async () => {
  const { log } = await open()
  await log.createTopic('t')
  for (let round = 0; round < 100; round++) await log.append([part('t', ['a'])])
  const offsets = (await readAll(log, 't')).map((seen) => seen.offset)
  assert.ok((offsets.at(-1) ?? 0) > 105, `${offsets.at(-1)}`)
})

test('a memory budget refuses with MR_LOG_FULL and leaves room for what fits', async () => {
  const time = realTurns()
  const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(1), bytesMax: 1000 })
  await log.createTopic('t')
  await log.append([{ topic: 't', partition: 0, batch: batchOf(['x'.repeat(700)]) }])
  await rejects(log.append([{ topic: 't', partition: 0, batch: batchOf(['x'.repeat(700)]) }]), 'MR_LOG_FULL')
  await log.append([part('t', ['small'])])
  await log.trim('t', 0, endOf(log, 't'))
  await log.append([{ topic: 't', partition: 0, batch: batchOf(['x'.repeat(700)]) }])
})

test('a kept view of fetched bytes is overwritten by the next fetch', async () => {
  const { log } = await open()
  await log.createTopic('t')
  await log.append([part('t', ['a'])])
  const reader = log.reader()
  const [kept] = must(reader.fetchNow, 'a log that reads at once').call(reader, [{ topic: 't', partition: 0, offset: 0 }])
  const copy = kept?.bytes.slice()
  must(reader.fetchNow, 'a log that reads at once').call(reader, [{ topic: 't', partition: 0, offset: endOf(log, 't') }])
  assert.notDeepEqual(kept?.bytes, copy)
})

test('a deletion stays on a compacted topic for a day, then goes', async () => {
  const memory = await open()
  const { log } = memory
  await log.createTopic('t', { compacted: true })
  await log.append([part('t', ['a:1', 'b:1'])])
  await log.append([part('t', ['a:-'])])
  log.maintain()
  assert.deepEqual(await textsOf(log, 't'), ['b:1', 'a:-'])
  await memory.advance(86_400_000)
  log.maintain()
  assert.deepEqual(await textsOf(log, 't'), ['b:1'])
})
