// The laws of a finished run, each against a computation from scratch.
import type { RunningPipeline } from '@millrace/core/engine'
import { Clocks } from './clocks.ts'
import type { Feed, Request } from './feed.ts'
import { readMoves } from './letters.ts'
import { acceptedRows, rangesOf, subjectOf } from './oracle.ts'
import { readLetters, readProgress, readSeen, readSource } from './reading.ts'
import type { SeenLetter } from './reading.ts'
import type { OracleContext, Seen } from './recipe.ts'
import { sameTexts, violated } from './violation.ts'
import type { ExpectedLetter, OracleRow, SeenRecord } from './rows.ts'
import { PRICES } from './steps.ts'
import type { World } from './world.ts'

/** Acknowledged appends are there; nothing is there twice; nothing else is there. */
export async function checkAppends(world: World, feed: Feed): Promise<void> {
  const seen = new Map<string, number>()
  const names = [...world.scenario.sources.map((source) => source.name), PRICES.name]
  for (const name of names) {
    for (const record of await readSource(world, name)) {
      const id = `${name}/${record.partition} ${record.text ?? ''}`
      seen.set(id, (seen.get(id) ?? 0) + 1)
    }
  }
  for (const request of feed.requests) {
    const texts = request.parts.flatMap((part) => part.texts.map((text) => `${part.topic}/${part.partition} ${text}`))
    if (world.rot?.request === request) {
      checkRotten(request, seen)
      continue
    }
    const there = texts.filter((text) => seen.get(text) === 1).length
    for (const text of texts) if ((seen.get(text) ?? 0) > 1) violated(`appended once, there ${seen.get(text) ?? 0} times: ${text}`)
    if (request.acknowledged && there < texts.length) violated(`acknowledged and lost: ${texts.find((text) => !seen.has(text)) ?? ''}`)
    if (there > 0 && there < texts.length) violated(`a request is there in part: ${texts.join(' | ')}`)
    for (const text of texts) seen.delete(text)
  }
  for (const text of seen.keys()) violated(`nobody sent ${text}`)
}

/** A flipped bit may cost the batch that it lies in, as a whole, and nothing else. */
function checkRotten(request: Request, seen: Map<string, number>): void {
  let damaged = 0
  for (const { topic, partition, texts } of request.parts) {
    const ids = texts.map((text) => `${topic}/${partition} ${text}`)
    const there = ids.filter((id) => seen.get(id) === 1).length
    if (there < ids.length) damaged++
    if (there > 0 && there < ids.length) violated(`a batch with a flipped bit is there in part: ${ids.join(' | ')}`)
    for (const id of ids) seen.delete(id)
  }
  if (damaged > 1) violated(`a flipped bit cost ${damaged} batches of one request`)
}

/** A replay that has ended: its input is over, and it keeps no archive. Its topics have the suffix. */
export interface Replayed {
  readonly pipeline: RunningPipeline
  readonly suffix: string
}

/** Tables, topics, archives and dead letters are what the accepted records give; those of a replay when one is given. Returns what was seen. */
export async function checkResults(world: World, replayed: Replayed | null = null): Promise<Seen> {
  const { scenario } = world
  const seen = await readSeen(world, replayed?.pipeline ?? world.pipeline, replayed?.suffix ?? '')
  // Behind a topic in the middle a replay binds its own rows anew; everywhere else it must go by the bindings of the live run.
  const bound = replayed !== null && scenario.hasThrough ? replayed : { pipeline: world.pipeline, suffix: '' }
  const { pipeline } = bound
  const { plan } = pipeline
  const progress = await readProgress(world, pipeline)
  const letters = await lettersOf(world, bound)
  const moves = await readMoves(world)
  const expected: ExpectedLetter[] = []
  const clocks = new Clocks(pipeline.topology, progress)
  const records = new Map<string, readonly SeenRecord[]>()
  for (const name of inputTopics(pipeline)) records.set(name, await readSource(world, name))
  const rowsOf = (shown: string, exactGuard: boolean): readonly OracleRow[] => {
    const topic = records.has(shown) ? shown : `${shown}${bound.suffix}`
    const source = plan.nodes.find((node) => (node.kind === 'source' || node.kind === 'through') && node.topic.name === topic)
    const options = {
      topology: pipeline.topology,
      progress,
      settings: plan.settings,
      exactGuard,
      source: source?.name ?? topic,
      letters,
      moves,
    }
    return acceptedRows(topic, records.get(topic) ?? [], options, expected).map((row) => ({ ...row, topic: shown }))
  }
  const context: OracleContext = {
    seen,
    clocks,
    ended: replayed !== null,
    isScattered: scenario.isScattered,
    isReordered: moves.size > 0 || (replayed !== null && scenario.hasThrough),
    letters: expected,
    seenLetters: letters,
    moves,
    node: (name) => plan.nodes.find((node) => node.name === name)?.id ?? violated(`no operator ${name}`),
    rowsOf: (topic) => rowsOf(topic, scenario.onTime),
    tableRows: (topic) => tableRows(topic, records.get(topic) ?? [], pipeline, progress),
  }
  let rows: readonly OracleRow[] = scenario.sources.flatMap((source) => rowsOf(source.name, scenario.onTime))
  if (scenario.onTime) checkClocks(world, rows, clocks)
  for (const step of scenario.steps) rows = step.expect(rows, context)
  for (const end of scenario.ends) if (replayed === null || !end.isSink) end.check(rows, context)
  if (replayed !== null) return seen
  checkLetters(letters, expected)
  if (scenario.onTime && !scenario.hasThrough && letters.some((letter) => letter.code === 'MR_TIME_LATE'))
    violated('a record is late that cannot be')
  return seen
}

/** What a replay put aside behind a topic in the middle are its own letters; in front of one it goes by those of the live run. */
async function lettersOf(world: World, { pipeline, suffix }: Replayed): Promise<readonly SeenLetter[]> {
  const live = await readLetters(world, world.scenario.definition.plan.pipeline)
  if (suffix === '') return live
  return [...live, ...(await readLetters(world, pipeline.plan.pipeline)).filter((letter) => letter.topic.endsWith(suffix))]
}

function inputTopics(pipeline: RunningPipeline): readonly string[] {
  return pipeline.topology.parts.flatMap((part) => part.inputs.flatMap((input) => (input.kind === 'source' ? [input.topic.name] : [])))
}

function tableRows(
  topic: string,
  records: readonly SeenRecord[],
  pipeline: RunningPipeline,
  progress: Parameters<typeof rangesOf>[1],
): ReturnType<OracleContext['tableRows']> {
  return records.map((record) => {
    const value = JSON.parse(record.text ?? 'null') as { readonly key: string; readonly factor: number }
    const range = rangesOf(pipeline.topology, progress, topic, record.partition).find(
      (other) => record.offset >= other.from && record.offset < other.to,
    )
    return {
      key: value.key,
      factor: value.factor,
      tick: range?.tick ?? violated(`${topic}/${record.partition} offset ${record.offset} was never bound`),
    }
  })
}

function checkLetters(letters: readonly SeenLetter[], expected: readonly ExpectedLetter[]): void {
  const kind = (letter: { readonly operator: string; readonly code: string }): string => `${letter.operator} ${letter.code}`
  sameTexts('kinds of dead letters', letters.map(kind), expected.map(kind))
  // Behind an exchange a row may have no id any more; then the number is all there is to compare.
  const bare = new Set(letters.filter((letter) => subjectOf(letter) === null).map(kind))
  sameTexts(
    'dead letters',
    letters.filter((letter) => !bare.has(kind(letter))).map((letter) => `${kind(letter)} ${subjectOf(letter) ?? ''}`),
    expected.filter((letter) => !bare.has(kind(letter))).map((letter) => `${kind(letter)} ${letter.subject}`),
  )
}

/** Where no partition is ever idle, a binder's watermark is the smallest over its partitions of the largest event time less the disorder. */
function checkClocks(world: World, rows: readonly OracleRow[], clocks: Clocks): void {
  const { topology } = world.pipeline
  for (const part of topology.parts) {
    const inputs = part.inputs.flatMap((input) =>
      input.kind === 'source' && !input.table && world.scenario.sources.some((source) => source.name === input.topic.name) ? [input] : [],
    )
    const streams = part.inputs.filter((input) => input.kind === 'source' && !input.table).length
    if (inputs.length === 0 || inputs.length < streams) continue
    for (let group = 0; group < part.groups; group++) {
      const partitions = inputs.flatMap((input) =>
        Array.from({ length: input.partitions }, (_, partition) => ({ topic: input.topic.name, partition })).filter(
          ({ partition }) => partition % part.groups === group,
        ),
      )
      for (const { tick, watermark } of clocks.timeline(part.name, group)) {
        const expected = Math.min(
          ...partitions.map(({ topic, partition }) => largestUpTo(rows, topic, partition, tick) - world.scenario.disorderMs),
        )
        if (watermark !== expected) violated(`${part.name}/${group} states watermark ${watermark} at tick ${tick}, not ${expected}`)
      }
    }
  }
}

function largestUpTo(rows: readonly OracleRow[], topic: string, partition: number, tick: number): number {
  let largest = Number.NEGATIVE_INFINITY
  for (const row of rows)
    if (row.topic === topic && row.partition === partition && row.tick <= tick && row.isBack !== true)
      largest = Math.max(largest, row.value.at)
  return largest
}

/** Two views of one pipeline agree, also in the order of records. */
export function checkSame(what: string, before: Seen, after: Seen): void {
  for (const name of before.tableNames)
    sameTexts(
      `${what}: table ${name}`,
      after.table(name).map((row) => JSON.stringify(row)),
      before.table(name).map((row) => JSON.stringify(row)),
    )
  for (const name of before.topicNames) {
    const texts = (seen: Seen): readonly string[] =>
      kept(seen.topic(name), before.compactedNames.has(name)).map(
        (record) => `${record.partition} ${record.timeMs} ${String(record.key)} ${String(record.text)}`,
      )
    const [left, right] = [texts(before), texts(after)]
    sameTexts(`${what}: topic ${name}`, right, left)
    if (left.some((text, index) => text !== right[index])) violated(`${what}: topic ${name} has another order`)
  }
}

/** Of a compacted topic only the newest record of each key is sure to be there. */
function kept(records: readonly SeenRecord[], isCompacted: boolean): readonly SeenRecord[] {
  if (!isCompacted) return records
  return records.filter((record, index) => !records.slice(index + 1).some((later) => later.key === record.key))
}
