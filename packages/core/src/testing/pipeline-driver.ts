// A pipeline as a unit test: the real runtime, commit loop and log (in memory), on virtual time. Feed records, let time pass, crash it,
// look at topics, tables and dead letters. Nothing sleeps, and one seed gives one order of events.
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import type { LiveTable, ReadRow } from '../dsl/live-table.ts'
import type { TopicDeclaration } from '../connect/topic.ts'
import type { Disk } from '../base/disk.ts'
import type { PipelineStatus } from '../runtime/status.ts'
import type { TaskEvent } from '../runtime/environment.ts'
import type { TableQuery, TableRow } from '../runtime/table-reader.ts'
import { must } from '../base/assert.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'
import { seededRandom } from '../base/random.ts'
import { partitionOf } from '../codec/murmur2.ts'
import { readRecords, recordBatch } from '../codec/record-batch.ts'
import { compiler } from '../compile/compiler.ts'
import { MemoryLog, MemoryStore } from '../log/memory-log.ts'
import { codeVersion } from '../plan/hash.ts'
import { decodeLetter } from '../runtime/task/dead-letter.ts'
import type { DeadLetterHead } from '../runtime/task/dead-letter.ts'
import { RunningPipeline } from '../runtime/pipeline.ts'
import { deadLetterTopic, retryTopic } from '../runtime/topic-names.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { VirtualTime } from './virtual-time.ts'

export interface PipelineTestOptions {
  /** Everything random derives from it. Default 1. */
  readonly seed?: number
  /** Wall clock at the start, milliseconds. Default 2026-01-01. */
  readonly startMs?: number
  /** Files for file tables and file sinks, by the path that the pipeline names; there are no others: `{ 'pages.csv': 'url,title\n/,Home\n' }`. */
  readonly files?: Readonly<Record<string, string>>
  /** Partitions by topic name, over the topic's own declaration. */
  readonly partitions?: Readonly<Record<string, number>>
  /** Interprets expressions instead of generating code. Default false. */
  readonly interpret?: boolean
  /** Bytes of changelog after which a snapshot is taken. Default 64 MiB. */
  readonly snapshotBytesMin?: number
  /** Offsets with gaps, as a transactional log has them. Default true. */
  readonly gaps?: boolean
}

export interface FeedOptions {
  /** Default: by the topic's key field, else 0. */
  readonly partition?: number
  /** The record's timestamp, where the topic has no event-time field. Default: the virtual wall clock. */
  readonly timeMs?: number
}

export interface TestRecord<V = unknown> {
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly key: string | null
  /** What the JSON says; null: the record deletes its key. */
  readonly value: unknown extends V ? unknown : ReadRow<V> | null
}

export interface TestDeadLetter extends DeadLetterHead {
  readonly text: string
  /** Key of the source record. */
  readonly key: string | null
}

/**
 * Starts a pipeline under test.
 * @example
 * const web = await testPipeline(definition)
 * await web.feed(hits, [{ url: '/', at: 0 }])
 * await web.advance(60_000)
 * assert.deepEqual(await web.table('per_minute'), [...])
 */
export async function testPipeline(definition: PipelineDefinition, options: PipelineTestOptions = {}): Promise<PipelineTest> {
  const test = new PipelineTest(definition, options)
  await test.start()
  return test
}

export class PipelineTest {
  readonly time: VirtualTime
  readonly disk: Disk
  /** What the tasks reported: restarts, pauses, dead letters. */
  readonly events: TaskEvent[] = []
  #definition: PipelineDefinition
  readonly #options: PipelineTestOptions
  readonly #store = new MemoryStore()
  readonly #random
  #log: MemoryLog
  #pipeline: RunningPipeline | null = null

  constructor(definition: PipelineDefinition, options: PipelineTestOptions) {
    this.#definition = definition
    this.#options = options
    this.#random = seededRandom(options.seed ?? 1)
    this.time = new VirtualTime({ random: this.#random.fork(), ...(options.startMs === undefined ? {} : { startMs: options.startMs }) })
    const disk = new SimulatedDisk({ random: this.#random.fork(), scheduler: this.time })
    this.disk = disk
    for (const [path, text] of Object.entries(options.files ?? {})) putFile(disk, path, text)
    this.#log = this.#openLog()
  }

  #openLog(): MemoryLog {
    return new MemoryLog({
      clock: this.time,
      scheduler: this.time,
      random: this.#random.fork(),
      gaps: this.#options.gaps ?? true,
      store: this.#store,
    })
  }

  get log(): MemoryLog {
    return this.#log
  }

  get pipeline(): RunningPipeline {
    return must(this.#pipeline, 'a running pipeline')
  }

  async start(change: { readonly rebuild?: boolean } = {}): Promise<void> {
    for (const [name, partitions] of Object.entries(this.#options.partitions ?? {}))
      if (this.#log.topic(name) === null) await this.time.run(this.#log.createTopic(name, { partitions }))
    const { plan } = this.#definition
    const started = RunningPipeline.start(plan, {
      log: this.#log,
      clock: this.time,
      scheduler: this.time,
      disk: this.disk,
      compiler,
      codeVersion: codeVersion(plan),
      codegen: this.#options.interpret !== true,
      guardRows: true,
      rebuild: change.rebuild ?? false,
      ...(this.#options.snapshotBytesMin === undefined ? {} : { snapshotBytesMin: this.#options.snapshotBytesMin }),
      onEvent: (event) => this.events.push(event),
    })
    this.#pipeline = await this.time.run(started.catch((error: unknown) => Promise.reject(this.#withFiles(error))))
  }

  /** A test has the files of its option and no others, also where there is one of that name on the machine. */
  #withFiles(error: unknown): unknown {
    if (!isMillraceError(error) || error.code !== 'MR_TABLE_FILE') return error
    const tables = this.#definition.plan.nodes.flatMap((node) => (node.kind === 'table-source' ? [node.from] : []))
    const missing = tables.find((one) => one.kind === 'file-table' && !this.disk.exists(one.path))
    if (missing?.kind !== 'file-table') return error
    return new MillraceError('MR_TABLE_FILE', {
      message: `the table \`${missing.name}\`: there is no such file in the \`files\` of this test.`,
      details: { file: missing.path },
      fix: `Give the test its text: \`testPipeline(definition, { files: { '${missing.path}': text } })\`.`,
      cause: error,
    })
  }

  /**
   * Appends values (as JSON) or raw texts to a topic, and lets the pipeline do what it can do at once. Values are what the topic's schema
   * takes from producers: `t.optional` fields may be left out.
   */
  async feed<V, I = V>(
    topic: (TopicDeclaration<V> & { readonly '~input'?: I }) | string,
    values: readonly (NoInfer<I> | string)[],
    options: FeedOptions = {},
  ): Promise<void> {
    const name = typeof topic === 'string' ? topic : topic.name
    const keyField = typeof topic === 'string' ? null : topic.keyField
    const partitions = must(this.#log.topic(name), `topic ${name}`).settings.partitions
    const encoder = new TextEncoder()
    const byPartition = new Map<number, { key: Uint8Array | null; value: Uint8Array; timeMs: number }[]>()
    for (const value of values) {
      const own =
        keyField !== null && typeof value === 'object' && value !== null
          ? (value as Readonly<Record<string, unknown>>)[keyField]
          : undefined
      const key = own === undefined || own === null ? null : encoder.encode(textOf(own))
      const partition = options.partition ?? (key === null ? 0 : partitionOf(key, 0, key.length, partitions))
      const list = byPartition.get(partition) ?? []
      list.push({
        key,
        value: encoder.encode(typeof value === 'string' ? value : JSON.stringify(value, sendable)),
        timeMs: options.timeMs ?? this.time.nowMs(),
      })
      byPartition.set(partition, list)
    }
    const parts = [...byPartition].map(([partition, records]) => ({ topic: name, partition, batch: recordBatch(records) }))
    if (parts.length > 0) await this.time.run(this.#log.append(parts))
    await this.settle()
  }

  /** Lets the pipeline work until nothing moves without more time or data. */
  async settle(): Promise<void> {
    await this.time.advance(50)
  }

  /**
   * Lets virtual time pass: timers fire, and windows of idle inputs close up to the virtual wall clock. It begins at `startMs`, 2026-01-01
   * UTC by default: windows of events that are fed with later times stay open until it comes there. `status().tasks` says what they wait for.
   */
  async advance(ms: number): Promise<void> {
    await this.time.advance(ms)
  }

  /** Stops, and starts another version of the pipeline on what this one has left. */
  async change(definition: PipelineDefinition, options: { readonly rebuild?: boolean } = {}): Promise<void> {
    if (this.#pipeline !== null) await this.stop()
    this.#definition = definition
    await this.start(options)
    await this.settle()
  }

  /** Kills the running tasks without a commit and starts again from the log, as after `kill -9`. */
  async crash(): Promise<void> {
    this.pipeline.abandon()
    this.#log.crash()
    this.#log = this.#openLog()
    await this.start()
    await this.settle()
  }

  /** Rows of a live table, ordered by key. By `definition.tables.NAME` the compiler knows the table and its fields, by name it does not. */
  async table<V = TableRow>(table: LiveTable<string, V> | string, query: TableQuery = {}): Promise<readonly ReadRow<V>[]> {
    const name = typeof table === 'string' ? table : table.name
    return (await this.time.run(this.pipeline.table(name, query))).rows as readonly ReadRow<V>[]
  }

  /** All records of a topic, by partition and offset; values parsed from JSON, with the types of a topic that is given by its declaration. */
  async records<V = unknown>(topic: TopicDeclaration<V> | string): Promise<readonly TestRecord<V>[]> {
    const name = typeof topic === 'string' ? topic : topic.name
    const reader = this.#log.reader()
    const records: TestRecord<V>[] = []
    const decoder = new TextDecoder()
    for (const { partition, start, end } of this.#log.ends(name)) {
      for (let offset = start; offset < end;) {
        const [part] = await this.time.run(reader.fetch([{ topic: name, partition, offset }]))
        const fetched = must(part, 'fetched partition')
        if (fetched.error !== null) throw fetched.error
        for (const record of readRecords(fetched.bytes, offset)) {
          records.push({
            partition,
            offset: record.offset,
            timeMs: record.timeMs,
            key: record.key === null ? null : decoder.decode(record.key),
            value: (record.value === null ? null : JSON.parse(decoder.decode(record.value))) as TestRecord<V>['value'],
          })
        }
        offset = fetched.next
      }
    }
    reader.close()
    return records
  }

  /** The pipeline's dead letters, oldest first. */
  async deadLetters(): Promise<readonly TestDeadLetter[]> {
    const name = deadLetterTopic(this.#definition.name)
    const reader = this.#log.reader()
    const letters: TestDeadLetter[] = []
    for (const { partition, start, end } of this.#log.ends(name)) {
      for (let offset = start; offset < end;) {
        const [part] = await this.time.run(reader.fetch([{ topic: name, partition, offset }]))
        const fetched = must(part, 'fetched partition')
        for (const record of readRecords(fetched.bytes, offset)) {
          const value = must(record.value, 'letter')
          const letter = decodeLetter(value, 0, value.length)
          const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
          letters.push({ ...letter.head, text: text(letter.original), key: letter.key === null ? null : text(letter.key) })
        }
        offset = fetched.next
      }
    }
    reader.close()
    return letters
  }

  /** Sends all dead letters back to the operators that failed. */
  async retryDeadLetters(): Promise<void> {
    const name = deadLetterTopic(this.#definition.name)
    const reader = this.#log.reader()
    for (const { partition, start, end } of this.#log.ends(name)) {
      for (let offset = start; offset < end;) {
        const [part] = await this.time.run(reader.fetch([{ topic: name, partition, offset }]))
        const fetched = must(part, 'fetched partition')
        for (const record of readRecords(fetched.bytes, offset)) {
          const value = must(record.value, 'letter')
          const { head } = decodeLetter(value, 0, value.length)
          await this.time.run(
            this.#log.append([
              {
                topic: retryTopic(head.pipeline, head.part),
                partition: head.group,
                batch: recordBatch([{ key: null, value, timeMs: head.atMs }]),
              },
            ]),
          )
        }
        offset = fetched.next
      }
    }
    reader.close()
    await this.settle()
  }

  status(): PipelineStatus {
    return this.pipeline.status()
  }

  /** Stops the pipeline in order: sinks publish what they have. */
  async stop(): Promise<void> {
    await this.time.run(this.pipeline.stop())
    this.#pipeline = null
  }
}

/** A value inside a fed one as the decoder takes it: JSON has no bigint and no bytes. */
function sendable(this: Readonly<Record<string, unknown>>, name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  // Not `value`: a Buffer has said by then what it looks like as JSON.
  const given = this[name]
  return given instanceof Uint8Array ? Buffer.from(given).toString('base64') : value
}

function putFile(disk: Disk, path: string, text: string): void {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
  if (folder !== '') disk.makeFolder(folder)
  const file = disk.open(path, 'create')
  file.write(new TextEncoder().encode(text), 0)
  file.sync()
  file.close()
}
