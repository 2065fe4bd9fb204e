// How a task reads a source topic: positions, the clock-ahead guard over several fetches, idleness.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../../index.ts'
import { must } from '../../base/assert.ts'
import { seededRandom } from '../../base/random.ts'
import { recordBatch } from '../../codec/record-batch.ts'
import { compiler } from '../../compile/compiler.ts'
import type { InputSpec } from '../../compile/topology.ts'
import type { Log, LogReader } from '../../log/log.ts'
import { MemoryLog } from '../../log/memory-log.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { SourceInput } from './source-input.ts'

const events = topic('events', { value: t.object({ at: t.time() }), eventTime: 'at' })
const { plan } = pipeline('reads', (mill) => {
  mill.from(events).to(topic('out', { value: t.object({ at: t.time() }) }))
})
const spec: Extract<InputSpec, { kind: 'source' }> = {
  kind: 'source',
  name: 'events',
  topic: must(plan.nodes[0]?.kind === 'source' ? plan.nodes[0].topic : null, 'topic'),
  needed: [0],
  table: false,
  partitions: 1,
}

/** A log whose fetches give one batch each, as logs may. */
class BatchByBatch {
  readonly time = new VirtualTime()
  readonly memory = new MemoryLog({ clock: this.time, scheduler: this.time, random: seededRandom(1) })

  get log(): Log {
    const { memory } = this
    const reader = (): LogReader => {
      const inner = memory.reader()
      return { fetch: (positions) => inner.fetch(positions, { bytesMax: 1 }), fetchNow: null, close: () => inner.close() }
    }
    return new Proxy(memory, {
      get: (target, name) =>
        name === 'reader' ? reader : (Reflect.get(target, name, target).bind?.(target) ?? Reflect.get(target, name, target)),
    }) as unknown as Log
  }

  async append(at: number): Promise<void> {
    await this.time.run(
      this.memory.append([
        {
          topic: 'events',
          partition: 0,
          batch: recordBatch([{ key: null, value: new TextEncoder().encode(JSON.stringify({ at })), timeMs: 0 }]),
        },
      ]),
    )
  }

  input(): SourceInput {
    const onLost = (): void => undefined
    const options = { group: 0, groups: 1, settings: plan.settings, clock: this.time, startAt: 'earliest' as const, onLost }
    return new SourceInput(this.log, spec, compiler.sourceDecoder(plan, spec, true), options, [])
  }
}

test('a jump is confirmed by records of later fetches, however little one fetch gives', async () => {
  const world = new BatchByBatch()
  await world.time.run(world.memory.createTopic('events'))
  const taken: number[] = []
  const input = world.input()
  const handlers = {
    process: (batch: { readonly times: Float64Array; readonly selectedCount: number }) =>
      void taken.push(...batch.times.subarray(0, batch.selectedCount)),
    reject: () => assert.fail('nothing is refused'),
  }
  for (let at = 1; at <= 8; at++) await world.append(at)
  assert.equal(await world.time.run(input.poll(0, handlers)), 0)
  assert.deepEqual(taken, [], 'seven records behind the first do not confirm it')
  await world.append(9)
  assert.ok((await world.time.run(input.poll(0, handlers))) > 0)
  assert.deepEqual(taken, [1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a jump that comes after a silence waits for its own confirmation, and is decided alone only after idleMs', async () => {
  const world = new BatchByBatch()
  await world.time.run(world.memory.createTopic('events'))
  const taken: number[] = []
  const refused: number[] = []
  const input = world.input()
  const handlers = {
    process: (batch: { readonly times: Float64Array; readonly selectedCount: number }) =>
      void taken.push(...batch.times.subarray(0, batch.selectedCount)),
    reject: (batch: { readonly times: Float64Array }, row: number) => void refused.push(batch.times[row] ?? 0),
  }
  const poll = (): Promise<number> => world.time.run(input.poll(0, handlers))
  const far = world.time.nowMs() + 5 * 86_400_000
  await world.time.advance(plan.settings.idleMs * 2)
  await world.append(far)
  assert.equal(await poll(), 0, 'it waits')
  for (let at = 1; at <= 8; at++) await world.append(far + at)
  assert.ok((await poll()) > 0)
  while ((await poll()) > 0);
  assert.equal(taken.length, 9)
  await world.append(far + 5 * 86_400_000)
  assert.equal(await poll(), 0)
  await world.time.advance(plan.settings.idleMs)
  while ((await poll()) > 0);
  assert.deepEqual(refused, [far + 5 * 86_400_000])
  assert.deepEqual(input.bind()[0]?.refused.length, 1)
})
