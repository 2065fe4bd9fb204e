// The conformance suite of the sink contract: SINK-1 to SINK-5 and every way to fail, for any sink.
//
//   sinkConformance('parquet', () => ({ sink: parquet({ dir: '/out', rollBytes: 2000 }), visible, strays }))   // in a test file
//
// A sink of files writes to the simulated disk of its context, so that the power can be cut at every single operation. A sink of another
// store keeps that store in the object that its opener returns.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { failing, type SinkCall } from '../connect/memory.ts'
import type { Sink } from '../connect/sink.ts'
import { count } from '../dsl/aggregates.ts'
import { pipeline } from '../dsl/pipeline.ts'
import { topic } from '../dsl/topic.ts'
import { t } from '../codec/schema.ts'
import { testPipeline } from './pipeline-driver.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { type ConformanceRow, live, liveWithFullDisk, rowOf, type SinkOpener, batchOf, SinkWorld } from './sink-conformance-kit.ts'

export type { ConformanceRow, SinkOpener, SinkUnderTest } from './sink-conformance-kit.ts'

export interface SinkConformanceOptions {
  /** A row that this sink must hand to `reject`, alone. Left out: the sink takes every row. */
  readonly badRow?: ConformanceRow
  /** False when the sink writes to something else than the disk: no full disk then. Default true. */
  readonly usesDisk?: boolean
  /** Runs with random crashes. Default 60. */
  readonly seeds?: number
}

const TOTAL = 160

/** One law, as a test of its own. */
export interface SinkLaw {
  readonly law: string
  run(open: SinkOpener): Promise<void>
}

/** The laws that a sink of this kind has to keep. */
export function sinkLaws(options: SinkConformanceOptions = {}): readonly SinkLaw[] {
  const { badRow, usesDisk = true, seeds = 60 } = options
  const laws = [...checkpointLaws, ...crashLaws(seeds), ...runtimeLaws]
  if (badRow !== undefined) laws.push({ law: 'a bad row is rejected alone', run: (open) => badRowAlone(open, badRow) })
  if (usesDisk) laws.push({ law: 'a full disk is a transient failure, and nothing is lost or doubled', run: fullDisk })
  return laws
}

/** Registers the suite with node:test; every test has worlds of its own from `open`. */
export function sinkConformance(name: string, open: SinkOpener, options: SinkConformanceOptions = {}): void {
  for (const { law, run } of sinkLaws(options)) test(`${name}: ${law}`, () => run(open))
}

const checkpointLaws: readonly SinkLaw[] = [
  {
    law: 'SINK-1 nothing is visible before publish, and everything after it',
    run: async (open) => {
      const world = new SinkWorld(open, 1)
      const writer = await world.run(world.open())
      assert.equal(writer.wantsCheckpoint(), false, 'nothing is written')
      assert.equal(await world.run(writer.prepare()), null, 'nothing was written, nothing is intended')
      await world.run(world.write(writer, 0, TOTAL))
      await world.expectRows(0, 'written')
      const intent = await world.run(world.commit(writer, TOTAL))
      assert.ok(intent !== null)
      await world.expectRows(0, 'prepared and committed')
      await world.run(writer.publish(intent))
      await world.expectRows(TOTAL, 'published')
      assert.equal(await world.run(writer.prepare()), null, 'nothing was written since')
      world.expectNoStrays('all is published')
      await world.run(writer.close())
    },
  },

  {
    law: 'SINK-1 what was prepared and committed survives a crash',
    run: async (open) => {
      const world = new SinkWorld(open, 2)
      const writer = await world.run(world.open())
      await world.run(world.write(writer, 0, TOTAL))
      await world.run(world.commit(writer, TOTAL))
      world.crash()
      await world.expectRows(0, 'still not published')
      await world.run(world.open())
      await world.expectRows(TOTAL, 'published by the next writer')
      world.expectNoStrays('all is published')
    },
  },

  {
    law: 'SINK-2 publish can be repeated, by the same writer and by later ones',
    run: async (open) => {
      const world = new SinkWorld(open, 3)
      const writer = await world.run(world.open())
      for (const position of [50, 90]) {
        await world.run(world.write(writer, world.committed.position, position))
        const intent = await world.run(world.commit(writer, position))
        for (let times = 0; times < 3; times++) await world.run(writer.publish(intent ?? new Uint8Array()))
        await world.expectRows(position, 'published three times')
      }
      for (let times = 0; times < 2; times++) {
        const next = await world.run(world.open())
        await world.expectRows(90, 'published by the next writer again')
        world.crash()
        await world.expectRows(90, 'what was published survives the crash')
        await world.run(next.close())
      }
    },
  },

  {
    law: 'SINK-3 what was not committed leaves no trace',
    run: async (open) => {
      for (const prepares of [false, true]) {
        const world = new SinkWorld(open, 4)
        const first = await world.run(world.open())
        await world.run(world.write(first, 0, 40))
        const intent = await world.run(world.commit(first, 40))
        await world.run(first.publish(intent ?? new Uint8Array()))
        await world.run(world.write(first, 40, TOTAL))
        if (prepares) await world.run(first.prepare())
        // The process dies without the power going: everything that it wrote is still there.
        await world.expectRows(40, 'before the start')
        const second = await world.run(world.open())
        await world.expectRows(40, 'after the start')
        world.expectNoStrays('open removes strays')
        await world.run(world.write(second, 40, TOTAL))
        const next = await world.run(world.commit(second, TOTAL))
        await world.run(second.publish(next ?? new Uint8Array()))
        await world.expectRows(TOTAL, 'written again')
        world.expectNoStrays('all is published')
      }
    },
  },

  {
    law: 'SINK-4 content is a function of the rows, whatever the batches',
    run: async (open) => {
      const contents = await Promise.all(
        [5, 6, 7].map(async (seed) => {
          const world = new SinkWorld(open, seed)
          const writer = await world.run(world.open())
          await world.run(world.write(writer, 0, TOTAL))
          const intent = await world.run(world.commit(writer, TOTAL))
          await world.run(writer.publish(intent ?? new Uint8Array()))
          await world.expectRows(TOTAL, 'published')
          const lists = await world.under.visible(world.disk, false)
          return Map.groupBy(lists.flat(), (row) => row.day)
        }),
      )
      assert.deepEqual(contents[1], contents[0])
      assert.deepEqual(contents[2], contents[0])
    },
  },

  {
    law: 'SINK-5 the memory of a batch may be used again when write returns',
    run: async (open) => {
      const world = new SinkWorld(open, 12)
      const writer = await world.run(world.open())
      for (let from = 0; from < TOTAL; from += 20) {
        const batch = batchOf(Array.from({ length: 20 }, (_, index) => rowOf(from + index)))
        const room = writer.write({ batch, generation: 0, tick: 1, sequence: from })
        scribble(batch)
        if (room !== undefined) await world.run(room)
      }
      const intent = await world.run(world.commit(writer, TOTAL))
      await world.run(writer.publish(intent ?? new Uint8Array()))
      await world.expectRows(TOTAL, 'written from memory that was used again')
    },
  },
]

/** Writes over every byte of a batch, as the decoder does with the next fetch. */
function scribble(part: unknown): void {
  if (ArrayBuffer.isView(part)) new Uint8Array(part.buffer, part.byteOffset, part.byteLength).fill(1)
  else if (typeof part === 'object' && part !== null) for (const inner of Object.values(part)) scribble(inner)
}

function crashLaws(seeds: number): readonly SinkLaw[] {
  return [
    {
      law: 'the power may go at any operation',
      run: async (open) => {
        for (let operation = 0; ; operation++) {
          const world = new SinkWorld(open, 8)
          world.disk.cutPowerAfter(operation)
          const done = await live(world, TOTAL)
          world.crash()
          await crashed(world, `after a power cut at operation ${operation}`)
          assert.ok(await live(world, TOTAL))
          await world.expectRows(TOTAL, `the life after a power cut at operation ${operation}`)
          world.expectNoStrays(`after a power cut at operation ${operation}`)
          if (done) break
        }
      },
    },

    {
      law: `the power goes again and again, ${seeds} seeds`,
      run: async (open) => {
        for (let seed = 100; seed < 100 + seeds; seed++) {
          const world = new SinkWorld(open, seed)
          for (let lives = 0; ; lives++) {
            if (lives < 5) world.disk.cutPowerAfter(world.random.below(120))
            const done = await live(world, TOTAL).catch((cause: unknown) => {
              throw new Error(`seed ${seed}`, { cause })
            })
            world.crash()
            await crashed(world, `seed ${seed}`)
            if (done) break
          }
          await world.expectRows(TOTAL, `seed ${seed}`)
        }
      },
    },
  ]
}

/** No row twice, none that is not committed. What is committed may still wait for its publish. */
async function crashed(world: SinkWorld, message: string): Promise<void> {
  const ids = await world.seen(true)
  assert.ok(
    ids.every((id) => id < world.committed.position),
    `nothing uncommitted is visible: ${message}`,
  )
}

async function badRowAlone(open: SinkOpener, badRow: ConformanceRow): Promise<void> {
  const world = new SinkWorld(open, 9)
  const writer = await world.run(world.open())
  await world.run(Promise.resolve(writer.write({ batch: batchOf([rowOf(0), badRow, rowOf(1)]), generation: 0, tick: 1, sequence: 0 })))
  const intent = await world.run(world.commit(writer, 2))
  await world.run(writer.publish(intent ?? new Uint8Array()))
  await world.expectRows(2, 'the good rows are there')
  assert.deepEqual(
    world.rejected.map(({ row }) => row),
    [1],
  )
  assert.ok(isMillraceError(world.rejected[0]?.error) && world.rejected[0].error.kind === 'data')
}

async function fullDisk(open: SinkOpener): Promise<void> {
  const probe = new SinkWorld(open, 10)
  await live(probe, TOTAL)
  const bytesMax = probe.disk.usedBytes() * 2
  for (let step = 1; step <= 12; step++) {
    const world = new SinkWorld(open, 10)
    world.disk.setCapacity(Math.floor((bytesMax * step) / 12))
    const done = await liveWithFullDisk(world, TOTAL)
    await crashed(world, `a disk of ${step} twelfths`)
    world.disk.setCapacity(2 ** 40)
    if (!done) assert.ok(await live(world, TOTAL))
    await world.expectRows(TOTAL, `a disk of ${step} twelfths`)
    world.expectNoStrays(`a disk of ${step} twelfths`)
  }
}

const events = topic('events', { value: t.object({ id: t.i32(), text: t.optional(t.string()), day: t.string() }) })

/** Fails the calls of one kind, now and then, a few times. */
function failures(call: SinkCall, done: boolean): (asked: SinkCall, isDone: boolean) => Error | null {
  let asked = 0
  let failed = 0
  return (own, isDone) => {
    if (own !== call || isDone !== done || ++asked % 2 === 0 || failed === 3) return null
    failed++
    return new MillraceError('MR_LOG_FULL', { message: 'the store does not answer' })
  }
}

const STORE_FAILURES: readonly (readonly [SinkCall, boolean])[] = [
  ['open', false],
  ['write', false],
  ['prepare', false],
  ['prepare', true],
  ['publish', false],
  ['publish', true],
]

const runtimeLaws: readonly SinkLaw[] = [
  ...STORE_FAILURES.map(([call, done]) => ({
    law: `the runtime tries again when the store fails ${done ? 'behind' : 'before'} ${call}`,
    run: (open: SinkOpener) => storeFails(open, call, done),
  })),
  { law: 'updates are refused when the sink cannot take them', run: async (open) => updatesRefused(open) },
]

function updatesRefused(open: SinkOpener): void {
  const { sink } = open()
  const plan = (): unknown =>
    pipeline('updates', (mill) => {
      mill
        .from(events)
        .groupBy('day')
        .aggregate({ events: count() }, { name: 'per-day' })
        .to(sink as Sink<unknown>)
    })
  if (sink.acceptsUpdates) assert.doesNotThrow(plan)
  else assert.throws(plan, (error) => isMillraceError(error) && error.code === 'MR_PLAN_UPDATE_REFUSED')
}

async function storeFails(open: SinkOpener, call: SinkCall, done: boolean): Promise<void> {
  const under = open()
  const sink = failing(under.sink as Sink<unknown>, failures(call, done))
  const plant = await testPipeline(
    pipeline('plant', (mill) => {
      mill.from(events).to(sink)
    }),
    { seed: 11 },
  )
  for (let from = 0; from < TOTAL; from += 20) {
    await plant.feed(
      events,
      Array.from({ length: 20 }, (_, index) => rowOf(from + index)),
    )
    await plant.advance(2000)
  }
  await plant.advance(60_000)
  await plant.stop()
  assert.ok(plant.disk instanceof SimulatedDisk)
  const lists = await under.visible(plant.disk, false)
  const rows = lists.flat().toSorted((a, b) => a.id - b.id)
  assert.deepEqual(
    rows,
    Array.from({ length: TOTAL }, (_, id) => rowOf(id)),
  )
  assert.deepEqual(under.strays(plant.disk), [])
}
