// Others in the staging folder of an archive: whoever removes files there, and writers whose names run together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Disk, readFully } from '../base/disk.ts'
import { isMillraceError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import { columnsOf } from '../codec/column-builder.ts'
import type { Field } from '../codec/column.ts'
import { SimulatedDisk, VirtualTime } from '../testing/index.ts'
import { ndjson } from './ndjson-sink.ts'
import type { SinkWriter } from './sink.ts'

const FIELDS: readonly Field[] = [{ name: 'text', type: { kind: 'string' }, nullable: false }]
const DIR = '/out'
/** More than an encoder keeps in memory. */
const MANY = Array.from({ length: 4096 }, () => 'x'.repeat(100))

function world(): { readonly time: VirtualTime; readonly disk: Disk } {
  const time = new VirtualTime()
  return { time, disk: new SimulatedDisk({ random: seededRandom(1), scheduler: time }) }
}

type World = ReturnType<typeof world>

function open({ time, disk }: World, pipeline = 'web', name = 'archive'): Promise<SinkWriter> {
  const context = { pipeline, name, group: 0, groups: 1, fields: FIELDS, epoch: 1, clock: time, disk, reject: () => undefined }
  return ndjson({ dir: DIR }).open(context, null)
}

function write(writer: SinkWriter, texts: readonly string[]): void {
  const rows = texts.map((text) => ({ text }))
  const none = { weights: null, selected: null, origin: null, originRows: null, values: null }
  const batch = {
    rowCount: rows.length,
    columns: columnsOf(FIELDS, rows),
    times: new Float64Array(rows.length),
    selectedCount: rows.length,
    ...none,
  }
  void writer.write({ batch, generation: 0, tick: 1, sequence: 0 })
}

async function prepared(on: World, writer: SinkWriter): Promise<Uint8Array> {
  const intent = await on.time.run(writer.prepare())
  assert.ok(intent !== null)
  return intent
}

/** The texts of the rows that the archive shows. */
function shown({ disk }: World): readonly string[] {
  return disk
    .list(DIR)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => {
      const file = disk.open(`${DIR}/${name}`, 'read')
      const bytes = new Uint8Array(file.size())
      assert.ok(readFully(file, bytes, 0))
      file.close()
      return new TextDecoder().decode(bytes).trimEnd().split('\n')
    })
    .map((line) => (JSON.parse(line) as { text: string }).text)
}

function isGone(error: unknown): boolean {
  return isMillraceError(error) && error.code === 'MR_SINK_FOLDER_GONE'
}

function stagedFile({ disk }: World): string {
  const [folder] = disk.list(`${DIR}/_staging`)
  const [file] = disk.list(`${DIR}/_staging/${folder ?? ''}`)
  return `${DIR}/_staging/${folder ?? ''}/${file ?? ''}`
}

test('a file that is removed while it fills is not gone on with: it would have a hole', async () => {
  const on = world()
  const writer = await open(on)
  write(writer, MANY)
  on.disk.remove(stagedFile(on))
  assert.throws(() => write(writer, MANY))
})

test('a file that another process has put in its place, or writes to as well, is not gone on with', async () => {
  const on = world()
  const writer = await open(on)
  write(writer, MANY)
  const path = stagedFile(on)
  const other = on.disk.open(path, 'create')
  other.write(new Uint8Array(10), other.size())
  other.close()
  assert.throws(() => write(writer, MANY), isGone)
})

test('nor is such a file published', async () => {
  const on = world()
  const writer = await open(on)
  write(writer, MANY)
  const other = on.disk.open(stagedFile(on), 'create')
  other.write(new Uint8Array(10), 10_000_000)
  other.close()
  await assert.rejects(on.time.run(writer.prepare()), isGone)
})

test('sinks whose names run together have folders and files of their own', async () => {
  const on = world()
  const first = await open(on, 'a', 'b-c')
  write(first, ['first'])
  const intents = [await prepared(on, first)]
  const second = await open(on, 'a-b', 'c')
  write(second, ['second'])
  intents.push(await prepared(on, second))
  for (const [index, writer] of [first, second].entries()) await on.time.run(writer.publish(intents[index] as Uint8Array))
  assert.deepEqual([...shown(on)].sort(), ['first', 'second'])
})
