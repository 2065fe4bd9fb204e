// Runs a log beside an obvious model of it: random commands from one seed, and after each one the same answers are expected.
// The model keeps arrays of strings. It does not know offsets: it learns them from the log's answers and checks that they obey LOG-1.
import assert from 'node:assert/strict'
import { type Random, seededRandom } from '../base/random.ts'
import { type LogOpener, type LogUnderTest, batchOf, logTest, readAll } from './log-conformance-kit.ts'
import type { LogPart, LogWriter } from '../log/log.ts'

const TOPICS = ['a', 'b']
const PARTITIONS = 2
const STEPS = 40

interface ModelRecord {
  /** -1 until the log has shown it. */
  offset: number
  readonly text: string
}

interface ModelPartition {
  records: ModelRecord[]
  end: number
}

class Model {
  readonly partitions = new Map<string, ModelPartition>()
  readonly answers = new Map<string, readonly number[]>()
  writers: { readonly name: string; readonly writer: LogWriter }[] = []
  readonly newest = new Map<string, LogWriter>()

  at(topic: string, partition: number): ModelPartition {
    const key = `${topic}/${partition}`
    const known = this.partitions.get(key) ?? { records: [], end: 0 }
    this.partitions.set(key, known)
    return known
  }
}

/** Registers one test that runs `runs` seeds. A failure names its seed and the commands up to it. */
export function conformToModel(name: string, open: LogOpener, runs: number): void {
  logTest(name, `agrees with the model over ${runs} seeds`, open, async (first) => {
    await first.dispose()
    for (let seed = 0; seed < runs; seed++) await runSeed(await open(), seed)
  })
}

async function runSeed(first: LogUnderTest, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const model = new Model()
  const trace: string[] = []
  let under = first
  try {
    for (const topic of TOPICS) await under.log.createTopic(topic, { partitions: PARTITIONS })
    for (let step = 0; step < STEPS; step++) {
      under = await runStep(under, model, random, trace)
      await compare(under, model)
    }
  } catch (cause) {
    throw new Error(`seed ${seed} after: ${trace.join('; ')}`, { cause })
  } finally {
    await under.dispose()
  }
}

async function runStep(under: LogUnderTest, model: Model, random: Random, trace: string[]): Promise<LogUnderTest> {
  const command = random.pick([
    'append',
    'append',
    'append',
    'commit',
    'commit',
    'open',
    'several',
    'repeat',
    'trim',
    'reopen',
    'crash',
  ] as const)
  trace.push(command)
  switch (command) {
    case 'append': {
      const { parts, texts } = randomParts(random)
      apply(model, parts, texts, (await under.log.append(parts)).firstOffsets)
      return under
    }
    case 'several':
      await Promise.all(Array.from({ length: 1 + random.below(4) }, () => appendOnTheWay(under, model, random)))
      return under
    case 'repeat':
      await repeatRequest(under, model, random)
      return under
    case 'open': {
      const name = random.pick(['w', 'v'])
      const writer = await under.log.openWriter(name)
      assert.ok(writer.epoch > (model.newest.get(name)?.epoch ?? 0))
      model.writers.push({ name, writer })
      model.newest.set(name, writer)
      return under
    }
    case 'commit':
      await commit(model, random)
      return under
    case 'trim':
      await trim(under, model, random)
      return under
    case 'reopen':
      model.writers = []
      return under.reopen()
    case 'crash':
      model.writers = []
      return under.crash === undefined ? under.reopen() : under.crash()
  }
}

function randomParts(random: Random): { readonly parts: LogPart[]; readonly texts: string[][] } {
  const texts = Array.from({ length: 1 + random.below(3) }, () =>
    Array.from({ length: 1 + random.below(4) }, () => `${random.below(1000)}`),
  )
  const parts = texts.map((records) => ({
    topic: random.pick(TOPICS),
    partition: random.below(PARTITIONS),
    batch: batchOf(records, random.below(1000)),
  }))
  return { parts, texts }
}

function apply(model: Model, parts: readonly LogPart[], texts: readonly (readonly string[])[], firstOffsets: readonly number[]): void {
  assert.equal(firstOffsets.length, parts.length)
  for (const [index, { topic, partition }] of parts.entries()) {
    const known = model.at(topic, partition)
    const offset = firstOffsets[index] ?? -1
    assert.ok(offset >= known.end, `offset ${offset} of ${topic}/${partition} was used before ${known.end}`)
    const records = (texts[index] ?? []).map((text, at) => ({ offset: offset + at, text }))
    known.records.push(...records)
    known.end = offset + records.length
  }
}

/** Appends not waited for one by one: the order of the calls is the order in the log. */
async function appendOnTheWay(under: LogUnderTest, model: Model, random: Random): Promise<void> {
  const { parts, texts } = randomParts(random)
  const places = parts.map(({ topic, partition }, index) => {
    const records = (texts[index] ?? []).map((text) => ({ offset: -1, text }))
    model.at(topic, partition).records.push(...records)
    return records
  })
  const { firstOffsets } = await under.log.append(parts)
  for (const [index, records] of places.entries()) {
    const { topic, partition } = parts[index] ?? { topic: '', partition: 0 }
    for (const [at, record] of records.entries()) record.offset = (firstOffsets[index] ?? 0) + at
    const known = model.at(topic, partition)
    known.end = Math.max(known.end, (firstOffsets[index] ?? 0) + records.length)
  }
}

async function repeatRequest(under: LogUnderTest, model: Model, random: Random): Promise<void> {
  const requestKey = `request ${random.below(5)}`
  const { parts, texts } = randomParts(random)
  const known = model.answers.get(requestKey)
  const { firstOffsets, repeated } = await under.log.append(parts, { requestKey })
  assert.equal(repeated, known !== undefined)
  if (known === undefined) apply(model, parts, texts, firstOffsets)
  else assert.deepEqual(firstOffsets, known)
  model.answers.set(requestKey, firstOffsets)
}

async function commit(model: Model, random: Random): Promise<void> {
  if (model.writers.length === 0) return
  const { name, writer } = random.pick(model.writers)
  const { parts, texts } = randomParts(random)
  if (model.newest.get(name) === writer) return apply(model, parts, texts, (await writer.commit(parts)).firstOffsets)
  await assert.rejects(writer.commit(parts), { code: 'MR_LOG_FENCED' })
}

async function trim(under: LogUnderTest, model: Model, random: Random): Promise<void> {
  const topic = random.pick(TOPICS)
  const partition = random.below(PARTITIONS)
  const known = model.at(topic, partition)
  if (known.records.length === 0) return
  const { offset } = random.pick(known.records)
  await under.log.trim(topic, partition, offset)
  known.records = known.records.filter((record) => record.offset >= offset)
}

async function compare(under: LogUnderTest, model: Model): Promise<void> {
  for (const topic of TOPICS) {
    for (const { partition, start, end } of under.log.ends(topic)) {
      const { records, end: known } = model.at(topic, partition)
      const seen = await readAll(under.log, topic, partition)
      assert.deepEqual(
        seen.map(({ offset, text }) => ({ offset, text })),
        records,
        `${topic}/${partition}`,
      )
      assert.ok(start <= (records[0]?.offset ?? end) && end >= known, `ends of ${topic}/${partition}`)
    }
  }
}
