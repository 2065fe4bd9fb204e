import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../base/assert.ts'
import { type Disk, readFully } from '../base/disk.ts'
import { seededRandom } from '../base/random.ts'
import { columnsOf } from '../codec/column-builder.ts'
import type { Field } from '../codec/column.ts'
import { SimulatedDisk, VirtualTime } from '../testing/index.ts'
import { ndjsonFile, type NdjsonFileSettings } from './ndjson-file-sink.ts'
import type { SinkWriter } from './sink.ts'

const FIELDS: readonly Field[] = [{ name: 'id', type: { kind: 'i32' }, nullable: false }]

function world(): { readonly time: VirtualTime; readonly disk: Disk } {
  const time = new VirtualTime()
  return { time, disk: new SimulatedDisk({ random: seededRandom(1), scheduler: time }) }
}

function open(
  { time, disk }: ReturnType<typeof world>,
  settings: NdjsonFileSettings,
  group = 0,
  groups = 1,
  last: Uint8Array | null = null,
): Promise<SinkWriter> {
  const context = { pipeline: 'p', name: 's', group, groups, fields: FIELDS, epoch: 1, clock: time, disk, reject: () => undefined }
  return ndjsonFile(settings).open(context, last)
}

async function write(writer: SinkWriter, ids: readonly number[]): Promise<void> {
  const rows = ids.map((id) => ({ id }))
  const batch = {
    rowCount: rows.length,
    columns: columnsOf(FIELDS, rows),
    times: new Float64Array(rows.length),
    weights: null,
    selected: null,
    selectedCount: rows.length,
    origin: null,
    originRows: null,
    values: null,
  }
  await writer.write({ batch, generation: 0, tick: 1, sequence: 0 })
}

async function publish(on: ReturnType<typeof world>, writer: SinkWriter, ids: readonly number[]): Promise<Uint8Array> {
  await write(writer, ids)
  const intent = await on.time.run(writer.prepare())
  assert.ok(intent !== null)
  await on.time.run(writer.publish(intent))
  return intent
}

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  assert.ok(readFully(file, bytes, 0))
  file.close()
  return new TextDecoder().decode(bytes)
}

function put(disk: Disk, path: string, text: string): void {
  const file = disk.open(path, 'create')
  file.write(new TextEncoder().encode(text), 0)
  file.close()
}

test('the file may be rotated away between two checkpoints', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [1, 2])
  on.disk.rename('/out/a.ndjson', '/out/a.ndjson.1')
  await publish(on, writer, [3])
  assert.equal(textOf(on.disk, '/out/a.ndjson.1'), '{"id":1}\n{"id":2}\n')
  assert.equal(textOf(on.disk, '/out/a.ndjson'), '{"id":3}\n')
})

test('the file may be rotated between commit and publish, and a publish that was cut off there is done again', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [1, 2])
  await write(writer, [3, 4])
  const intent = await on.time.run(writer.prepare())
  assert.ok(intent !== null)
  on.disk.rename('/out/a.ndjson', '/out/a.ndjson.1')
  put(on.disk, '/out/a.ndjson', '{"id":3}\n{"i')
  const next = await open(on, { path: '/out/a.ndjson' }, 0, 1, intent)
  await on.time.run(next.publish(intent))
  await on.time.run(next.publish(intent))
  assert.equal(textOf(on.disk, '/out/a.ndjson'), '{"id":3}\n{"id":4}\n')
})

test('a file that somebody else has put there is not written over', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [1])
  await write(writer, [2])
  const intent = await on.time.run(writer.prepare())
  on.disk.remove('/out/a.ndjson')
  put(on.disk, '/out/a.ndjson', '"foreign"\n')
  await on.time.run(writer.publish(intent ?? new Uint8Array()))
  assert.equal(textOf(on.disk, '/out/a.ndjson'), '"foreign"\n{"id":2}\n')
})

test('a part that is published is written over by the next one, which may be shorter, and is gone when the writer closes', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [100, 200, 300])
  assert.deepEqual(on.disk.list('/out'), ['.a.ndjson.spare', 'a.ndjson'])
  const spare = on.disk.stat('/out/.a.ndjson.spare')
  await write(writer, [4])
  const intent = await on.time.run(writer.prepare())
  assert.deepEqual(on.disk.list('/out'), ['a.ndjson', 'a.ndjson.part-e1-c1'])
  assert.equal(on.disk.stat('/out/a.ndjson.part-e1-c1')?.identity, spare?.identity)
  await on.time.run(writer.publish(intent ?? new Uint8Array()))
  assert.equal(textOf(on.disk, '/out/a.ndjson'), '{"id":100}\n{"id":200}\n{"id":300}\n{"id":4}\n')
  await writer.close()
  assert.deepEqual(on.disk.list('/out'), ['a.ndjson'])
})

test('a publish that was cut off behind the end of the part is told from a file of somebody else', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [100, 200, 300])
  await write(writer, [4])
  const intent = await on.time.run(writer.prepare())
  on.disk.rename('/out/a.ndjson', '/out/a.ndjson.1')
  // What is left in the part of its earlier use lies behind the rows and is none of them.
  put(on.disk, '/out/a.ndjson', textOf(on.disk, '/out/a.ndjson.part-e1-c1'))
  await on.time.run(writer.publish(intent ?? new Uint8Array()))
  assert.equal(textOf(on.disk, '/out/a.ndjson').endsWith('{"id":300}\n{"id":4}\n'), true)
})

test('an intent of the first version is published: the rows are all that its part holds', async () => {
  const on = world()
  const writer = await open(on, { path: '/out/a.ndjson' })
  await publish(on, writer, [1])
  put(on.disk, '/out/a.ndjson.part-e1-c7', '{"id":2}\n{"id":3}\n')
  const { size, identity } = must(on.disk.stat('/out/a.ndjson'), 'the file')
  const first = { version: 1, path: '/out/a.ndjson', part: '/out/a.ndjson.part-e1-c7', from: size, identity, checkpoint: 7 }
  const intent = new TextEncoder().encode(JSON.stringify(first))
  const next = await open(on, { path: '/out/a.ndjson' }, 0, 1, intent)
  await on.time.run(next.publish(intent))
  await on.time.run(next.publish(intent))
  await publish(on, next, [4])
  assert.equal(textOf(on.disk, '/out/a.ndjson'), '{"id":1}\n{"id":2}\n{"id":3}\n{"id":4}\n')
})

test('what was committed for another folder is published there, from which no file can be moved to this one', async () => {
  const on = world()
  const writer = await open(on, { path: '/old/a.ndjson' })
  await write(writer, [1])
  const intent = must(await on.time.run(writer.prepare()), 'an intent')
  const rename = (from: string, to: string): void => {
    assert.equal(from.slice(0, from.lastIndexOf('/')), to.slice(0, to.lastIndexOf('/')), 'as between two file systems')
    on.disk.rename(from, to)
  }
  const disk = new Proxy(on.disk, { get: (target, name: keyof Disk) => (name === 'rename' ? rename : target[name].bind(target)) })
  const next = await open({ ...on, disk }, { path: '/new/a.ndjson' }, 0, 1, intent)
  await on.time.run(next.publish(intent))
  await publish({ ...on, disk }, next, [2])
  assert.deepEqual(on.disk.list('/old'), ['a.ndjson'])
  assert.equal(textOf(on.disk, '/old/a.ndjson'), '{"id":1}\n')
  assert.equal(textOf(on.disk, '/new/a.ndjson'), '{"id":2}\n')
})

test('every group has a file of its own', async () => {
  const on = world()
  for (const [path, expected] of [
    ['/out/a.ndjson', '/out/a-1.ndjson'],
    ['/o.ut/plain', '/o.ut/plain-1'],
    ['/out/.hidden', '/out/.hidden-1'],
  ] as const) {
    await publish(on, await open(on, { path }, 1, 2), [1])
    assert.equal(textOf(on.disk, expected), '{"id":1}\n')
  }
})

test('time and size ask for a checkpoint', async () => {
  const on = world()
  const writer = await open(on, { path: 'a.ndjson', rollMs: 500, rollBytes: 40 })
  assert.equal(writer.wantsCheckpoint(), false)
  await write(writer, [1])
  assert.equal(writer.wantsCheckpoint(), false)
  await on.time.advance(500)
  assert.equal(writer.wantsCheckpoint(), true)
  await publish(on, writer, [2])
  assert.equal(writer.wantsCheckpoint(), false)
  await write(writer, [3, 4, 5, 6, 7])
  assert.equal(writer.wantsCheckpoint(), true)
})
