// Reads what a run has left on its log: records, progress, dead letters, and a digest of every byte.
import { createHash } from 'node:crypto'
import { RecordRows, deadLetterTopic, decodeLetter, decodeProgress, progressTopic, readFully } from '@millrace/core/engine'
import type { DeadLetterHead, Log, ProgressRecord, RunningPipeline } from '@millrace/core/engine'
import { readArchive } from './archives.ts'
import type { Seen } from './recipe.ts'
import { violated } from './violation.ts'
import type { SeenRecord } from './rows.ts'
import { LOG_FOLDER } from './world.ts'
import type { World } from './world.ts'

export interface RawRecord {
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
}

/** @param from Offsets below are left out. */
export async function rawRecords(
  world: World,
  log: Log,
  topic: string,
  from: ReadonlyMap<number, number> = new Map(),
): Promise<readonly RawRecord[]> {
  const reader = log.reader()
  const rows = new RecordRows()
  const records: RawRecord[] = []
  const part = (bytes: Uint8Array, start: number, end: number): Uint8Array | null => (start < 0 ? null : bytes.slice(start, end))
  for (const { partition, start, end } of log.ends(topic)) {
    for (let offset = Math.max(start, from.get(partition) ?? 0); offset < end;) {
      const [fetched] = await world.time.run(reader.fetch([{ topic, partition, offset }], { bytesMax: FETCH_BYTES }))
      if (fetched === undefined || fetched.error !== null) throw fetched?.error ?? new Error('nothing fetched')
      const count = rows.read(fetched.bytes, offset)
      for (let row = 0; row < count; row++) {
        records.push({
          partition,
          offset: rows.offsets[row] as number,
          timeMs: rows.times[row] as number,
          key: part(rows.bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number),
          value: part(rows.bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number),
        })
      }
      if (fetched.next <= offset) violated(`reading ${topic}/${partition} stops at ${offset} of ${end}`)
      offset = fetched.next
    }
  }
  reader.close()
  return records
}

/** Small: a reader has a buffer of this size. */
const FETCH_BYTES = 32_768

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes))

export async function readTopic(world: World, topic: string): Promise<readonly SeenRecord[]> {
  if (world.log.topic(topic) === null) return []
  const records = await rawRecords(world, world.log, topic)
  return records.map(({ partition, offset, timeMs, key, value }) => ({ partition, offset, timeMs, key: text(key), text: text(value) }))
}

/** Records of a topic, with those that retention has taken since `keepSources` saw them. */
export async function readSource(world: World, topic: string): Promise<readonly SeenRecord[]> {
  const kept = world.kept.get(topic)
  if (kept === undefined || world.log.topic(topic) === null) return readTopic(world, topic)
  const from = new Map<number, number>()
  for (const { partition, offset } of kept) from.set(partition, offset + 1)
  const records = await rawRecords(world, world.log, topic, from)
  for (const { partition, offset, timeMs, key, value } of records)
    kept.push({ partition, offset, timeMs, key: text(key), text: text(value) })
  return kept.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** Remembers what the sources hold, before retention takes it. */
export async function keepSources(world: World): Promise<void> {
  for (const { name } of world.scenario.sources) {
    if (!world.kept.has(name)) world.kept.set(name, [])
    await readSource(world, name)
  }
}

export async function readProgress(world: World, { topology }: RunningPipeline): Promise<ReadonlyMap<string, readonly ProgressRecord[]>> {
  const progress = new Map<string, ProgressRecord[]>()
  for (const part of topology.parts) {
    for (const record of await rawRecords(world, world.log, progressTopic(topology.pipeline, part.name))) {
      const task = `${part.name}/${record.partition}`
      const list = progress.get(task) ?? []
      progress.set(task, list)
      const value = record.value ?? violated(`a progress record of ${task} is empty`)
      list.push(decodeProgress(value, 0, value.length))
    }
  }
  return progress
}

export interface SeenLetter extends DeadLetterHead {
  readonly text: string
}

export async function readLetters(world: World, pipeline: string): Promise<readonly SeenLetter[]> {
  const records = await rawRecords(world, world.log, deadLetterTopic(pipeline))
  return records.map((record) => {
    const value = record.value ?? violated('an empty dead letter')
    const letter = decodeLetter(value, 0, value.length)
    return { ...letter.head, text: text(letter.original) ?? '' }
  })
}

/** Everything that users see of a pipeline. `suffix`: of a replay's topics. */
export async function readSeen(world: World, pipeline: RunningPipeline, suffix: string): Promise<Seen> {
  const tables = new Map<string, readonly Readonly<Record<string, unknown>>[]>()
  for (const { name } of pipeline.topology.tables) tables.set(name, (await world.time.run(pipeline.table(name, { limit: 1_000_000 }))).rows)
  const topics = new Map<string, readonly SeenRecord[]>()
  const compactedNames = new Set<string>()
  for (const output of pipeline.topology.parts.flatMap((part) => part.outputs)) {
    if (output.kind !== 'topic') continue
    const name = output.topic.name
    const shown = name.slice(0, name.length - suffix.length)
    topics.set(shown, await readTopic(world, name))
    if (world.log.topic(name)?.settings.compacted === true) compactedNames.add(shown)
  }
  const archives = new Map<string, readonly Readonly<Record<string, unknown>>[]>()
  for (const node of pipeline.plan.nodes) {
    if (node.kind !== 'to-sink') continue
    const folder = String(node.sink.settings['folder'] ?? node.sink.settings['dir'])
    archives.set(folder, await readArchive(world.disk, folder))
  }
  return {
    table: (name) => tables.get(name) ?? violated(`there is no table ${name}`),
    topic: (name) => topics.get(name) ?? violated(`there is no topic ${name}`),
    archive: (folder) => archives.get(folder) ?? violated(`there is no archive ${folder}`),
    tableNames: [...tables.keys()],
    topicNames: [...topics.keys()],
    compactedNames,
  }
}

/** Where every partition ends: changes whenever anything is written. */
export function endsText(log: Log): string {
  return JSON.stringify(log.topics().map((topic) => log.ends(topic.name).map((ends) => [ends.topic, ends.partition, ends.end])))
}

/** A hash of every byte that the run has left behind. */
export async function digestOf(world: World): Promise<string> {
  const hash = createHash('sha256')
  if (world.scenario.log === 'embedded') addFolder(world, LOG_FOLDER, hash)
  else {
    for (const topic of world.log.topics()) {
      for (const record of await rawRecords(world, world.log, topic.name)) {
        hash.update(`${topic.name} ${record.partition} ${record.offset} ${record.timeMs} `)
        for (const bytes of [record.key, record.value]) hash.update(bytes ?? 'null')
      }
    }
  }
  return hash.digest('hex')
}

function addFolder(world: World, folder: string, hash: ReturnType<typeof createHash>): void {
  for (const name of world.disk.list(folder)) {
    const path = `${folder}/${name}`
    const stat = world.disk.stat(path)
    hash.update(`${path} ${stat?.size ?? 0} `)
    if (stat === null || stat.identity.startsWith('folder')) {
      addFolder(world, path, hash)
      continue
    }
    const file = world.disk.open(path, 'read')
    const bytes = new Uint8Array(stat.size)
    readFully(file, bytes, 0)
    file.close()
    hash.update(bytes)
  }
}
