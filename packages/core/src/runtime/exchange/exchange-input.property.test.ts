// Whatever the credit, and wherever a restart comes, an exchange hands over every batch once, by (tick, producer, partition, running number).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ExchangeInput } from './exchange-input.ts'
import { ExchangeFixture } from './exchange-input.fixture.ts'
import type { Written } from './exchange-input.fixture.ts'

const KIB = 1024
const MIB = 1024 * KIB

function sizes(batches: readonly Written[]): number {
  return batches.reduce((sum, { bytes }) => sum + bytes, 0)
}

function reachedBy(batches: readonly Written[], producers: number, partitions: number): readonly (readonly number[])[] {
  return Array.from({ length: producers }, (_, producer) =>
    Array.from({ length: partitions }, (__, partition) =>
      batches
        .filter((batch) => batch.producer === producer && batch.partition === partition)
        .reduce((top, { running }) => Math.max(top, running), 0),
    ),
  )
}

async function takeTick(fixture: ExchangeFixture, input: ExchangeInput, taken: string[]): Promise<boolean> {
  await fixture.time.run(input.gather())
  const tick = input.firstTick()
  if (tick > input.frontier()) return false
  await fixture.time.run(input.load(tick))
  for (const batch of input.take(tick)) taken.push(`${batch.tick} ${batch.producer} ${batch.partition} ${batch.running}`)
  return true
}

const plant = fc.record({
  producers: fc.integer({ min: 1, max: 4 }),
  partitions: fc.integer({ min: 1, max: 3 }),
  creditBytes: fc.constantFrom(1, 300, 3_000, 1_000_000),
  steps: fc.array(fc.record({ producer: fc.nat(3), partition: fc.nat(2), ticks: fc.nat(3), bytes: fc.integer({ min: 1, max: 900 }) }), {
    maxLength: 60,
  }),
  restartAfter: fc.array(fc.nat(6), { maxLength: 4 }),
})

test('every batch once and in order, whatever the credit and the restarts', async () => {
  await fc.assert(
    fc.asyncProperty(plant, async ({ producers, partitions, creditBytes, steps, restartAfter }) => {
      const fixture = await ExchangeFixture.open(producers, partitions)
      const ticks = new Map<number, number>()
      const running = new Map<string, number>()
      const written = steps.map(({ producer: anyProducer, partition: anyPartition, ticks: more, bytes }): Written => {
        const producer = anyProducer % producers
        const partition = anyPartition % partitions
        const tick = (ticks.get(producer) ?? 1) + more
        ticks.set(producer, tick)
        const next = (running.get(`${producer} ${partition}`) ?? 0) + 1
        running.set(`${producer} ${partition}`, next)
        return { partition, producer, tick, running: next, bytes }
      })
      await fixture.write(written)
      await fixture.state(1_000, reachedBy(written, producers, partitions))
      const taken: string[] = []
      let input = await fixture.input(creditBytes)
      const restarts = [...restartAfter]
      for (let rest = restarts.shift() ?? Infinity; await takeTick(fixture, input, taken); rest--) {
        if (rest > 0) continue
        const positions = input.positions()
        input.close()
        input = await fixture.input(creditBytes, positions)
        rest = restarts.shift() ?? Infinity
      }
      const expected = [...written]
        .sort((a, b) => a.tick - b.tick || a.producer - b.producer || a.partition - b.partition || a.running - b.running)
        .map((batch) => `${batch.tick} ${batch.producer} ${batch.partition} ${batch.running}`)
      assert.deepEqual(taken, expected)
      assert.equal(input.heldBytes, 0)
    }),
    { numRuns: 300 },
  )
})

test('a producer that was behind all others completes its tick, though they have used up the credit', async () => {
  const fixture = await ExchangeFixture.open(16, 1)
  // As a plant has it, by 64: each producer 32 MiB ahead, a credit of 256 MiB.
  const ahead = 512 * KIB
  const creditBytes = 4 * MIB
  const bytes = 16 * KIB
  const each = ahead / bytes
  const full = Array.from({ length: 15 }, (_, producer) =>
    Array.from({ length: each }, (__, at): Written => ({ partition: 0, producer, tick: at + 1, running: at + 1, bytes })),
  ).flat()
  const behind = [1, each].map((tick, at): Written => ({ partition: 0, producer: 15, tick, running: at + 1, bytes }))
  const written = [...full, ...behind]
  await fixture.write(written)
  await fixture.state(each, reachedBy(written, 16, 1))
  const input = await fixture.input(creditBytes)
  const taken: string[] = []
  let largest = 0
  while (await takeTick(fixture, input, taken)) largest = Math.max(largest, input.heldBytes)
  assert.equal(taken.length, written.length)
  assert.ok(largest <= creditBytes + MIB, `${largest} bytes held`)
})

test('a full partition does not keep another one from being gathered', async () => {
  const fixture = await ExchangeFixture.open(1, 2)
  const bytes = 64 * KIB
  const first = Array.from({ length: 128 }, (_, at): Written => ({ partition: 0, producer: 0, tick: at + 1, running: at + 1, bytes }))
  const second = first.slice(0, 4).map((batch): Written => ({ ...batch, partition: 1 }))
  const written = [...first, ...second]
  assert.ok(sizes(first) > 4 * MIB)
  await fixture.write(written)
  await fixture.state(128, reachedBy(written, 1, 2))
  const input = await fixture.input(2 * MIB)
  await fixture.time.run(input.gather())
  // Ticks up to what both partitions have brought are ready within the credit.
  assert.ok(input.firstTick() <= input.frontier())
  assert.ok(input.lag(fixture.log) > 64, 'the rest stays in the log')
  const taken: string[] = []
  while (await takeTick(fixture, input, taken)) assert.ok(input.heldBytes <= 3 * MIB)
  assert.equal(taken.length, written.length)
})
