// Dead letters for those who look at them: grouped by cause, listed with their bytes, sent back to the operator that failed, or discarded.
// `retry` moves letters to the retry partition of their task and marks them in one commit, so that none is lost and none enters twice.
// Marks lie on a compacted internal topic of the pipeline, keyed by the letter's offset. Counts are kept up as letters arrive, so that
// looking costs what is new; the letters themselves are read from the log when somebody asks for them.
import {
  type Clock,
  type DeadLetter,
  deadLetterTopic,
  decodeLetter,
  type Log,
  type LogPart,
  type LogWriter,
  MillraceError,
  must,
  recordBatch,
  RecordRows,
  retryTopic,
} from '@millrace/core/engine'
import type { DeadLetterGroup, DeadLetterView, DiscardAnswer, RetryAnswer, RetryRequest } from '../../api.ts'
import { whyNoEntry } from './letter-door.ts'
import type { StartedPlan } from '../pipelines/plan-store.ts'

const FETCH_BYTES = 1 << 20
/** Bytes of letters that one commit moves. */
const COMMIT_BYTES_MAX = 2 << 20
/** Letters that one commit discards. */
const MARKS_MAX = 10_000
const text = new TextDecoder('utf-8', { fatal: true })

export function marksTopic(pipeline: string): string {
  return `__${pipeline}.dead-letter-marks`
}

export interface LetterFilter {
  readonly code?: string | undefined
  readonly operator?: string | undefined
  readonly state?: DeadLetterView['state'] | undefined
}

interface Group {
  readonly code: string
  readonly operator: string
  count: number
  /** Letters that were retried or discarded. */
  closed: number
  firstAtMs: number
  lastAtMs: number
  sample: DeadLetterView
}

type Mark = 'retried' | 'discarded'

interface Letter {
  readonly id: number
  readonly letter: DeadLetter
  readonly value: Uint8Array
}

export interface DeadLettersOptions {
  readonly log: Log
  readonly clock: Clock
  readonly pipeline: string
  /** Every plan with which the pipeline was started, oldest first. */
  readonly plans: () => Promise<readonly StartedPlan[]>
}

/** The dead letters of one pipeline. Calls queue behind each other. */
export class DeadLetters {
  readonly #options: DeadLettersOptions
  readonly #topic: string
  readonly #groups = new Map<string, Group>()
  /** Letters that are not open any more, by id. */
  readonly #marks = new Map<number, Mark>()
  #writer: LogWriter | null = null
  #next = 0
  /** The first letter kept when counting began. */
  #countedFrom = 0
  #opened = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DeadLettersOptions) {
    this.#options = options
    this.#topic = deadLetterTopic(options.pipeline)
  }

  /** Groups by cause with at least one letter kept, most letters first. Counts letters that are open. */
  groups(): Promise<readonly DeadLetterGroup[]> {
    return this.#queue(async () => {
      await this.#catchUp()
      const open = [...this.#groups.values()].filter((group) => group.count > group.closed)
      return open
        .toSorted((a, b) => b.count - b.closed - (a.count - a.closed))
        .map(({ code, operator, count, closed, firstAtMs, lastAtMs, sample }) => ({
          pipeline: this.#options.pipeline,
          code,
          operator,
          count: count - closed,
          firstAtMs,
          lastAtMs,
          sample,
        }))
    })
  }

  /** Letters from an id on that fit the filter, oldest first. */
  list(filter: LetterFilter, from: number, limit: number): Promise<readonly DeadLetterView[]> {
    return this.#queue(async () => {
      await this.#catchUp()
      const views: DeadLetterView[] = []
      for await (const { id, letter } of this.#read(from)) {
        if (!fits(letter, filter) || (filter.state !== undefined && filter.state !== (this.#marks.get(id) ?? 'open'))) continue
        views.push(this.#view(id, letter))
        if (views.length >= limit) break
      }
      return views
    })
  }

  /** Sends letters back in. Throws MR_HTTP_BODY_INVALID when the request names nothing. */
  retry(request: RetryRequest): Promise<RetryAnswer> {
    return this.#queue(() => this.#retry(request))
  }

  /** Marks letters that nobody wants back: they are no longer open, and stay on their topic until retention takes them. */
  discard(request: RetryRequest): Promise<DiscardAnswer> {
    return this.#queue(async () => {
      let discarded = 0
      let batch: Letter[] = []
      for await (const one of this.#named(request)) {
        if (this.#marks.has(one.id)) continue
        batch.push(one)
        if (batch.length < MARKS_MAX) continue
        discarded += await this.#close(batch, [], 'discarded')
        batch = []
      }
      discarded += await this.#close(batch, [], 'discarded')
      return { discarded }
    })
  }

  async close(): Promise<void> {
    await this.#queue(async () => this.#writer?.close())
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** The letters that a request names, oldest first. */
  async *#named(request: RetryRequest): AsyncGenerator<Letter> {
    const ids = request.ids === undefined ? null : new Set(request.ids)
    if (ids === null && request.code === undefined && request.operator === undefined) {
      throw new MillraceError('MR_HTTP_BODY_INVALID', { message: 'name the letters: `ids`, or `code` and `operator`.' })
    }
    await this.#catchUp()
    let [first, last] = ids === null ? [0, this.#next] : [Number.POSITIVE_INFINITY, -1]
    for (const id of ids ?? []) {
      first = Math.min(first, id)
      last = Math.max(last, id)
    }
    if (first > last) return
    for await (const one of this.#read(first)) {
      if (one.id > last) break
      if ((ids === null || ids.has(one.id)) && fits(one.letter, request)) yield one
    }
  }

  async #retry(request: RetryRequest): Promise<RetryAnswer> {
    const plans = await this.#options.plans()
    const refused = new Map<string, number>()
    let moved = 0
    let batch: Letter[] = []
    let bytes = 0
    for await (const one of this.#named(request)) {
      const mark = this.#marks.get(one.id)
      const reason = mark === undefined ? this.#whyNot(one.letter, plans) : `it was ${mark} before`
      if (reason !== null) {
        refused.set(reason, (refused.get(reason) ?? 0) + 1)
        continue
      }
      batch.push(one)
      bytes += one.value.length
      if (bytes < COMMIT_BYTES_MAX) continue
      moved += await this.#move(batch)
      batch = []
      bytes = 0
    }
    moved += await this.#move(batch)
    return { moved, refused: Array.from(refused, ([reason, count]) => ({ reason, count })) }
  }

  #whyNot({ head }: DeadLetter, plans: readonly StartedPlan[]): string | null {
    const { log, pipeline } = this.#options
    const partitions = log.topic(retryTopic(pipeline, head.part))?.settings.partitions ?? 0
    if (head.group >= partitions) return `the pipeline has no part \`${head.part}\` with group ${head.group} any more`
    return whyNoEntry(head, plans)
  }

  async #move(letters: readonly Letter[]): Promise<number> {
    const { pipeline } = this.#options
    const targets = new Map<string, { readonly topic: string; readonly partition: number; readonly letters: Letter[] }>()
    for (const one of letters) {
      const topic = retryTopic(pipeline, one.letter.head.part)
      const { group } = one.letter.head
      const target = targets.get(`${topic} ${group}`) ?? { topic, partition: group, letters: [] }
      targets.set(`${topic} ${group}`, target)
      target.letters.push(one)
    }
    const parts: LogPart[] = Array.from(targets.values(), ({ topic, partition, letters: own }) => ({
      topic,
      partition,
      batch: recordBatch(own.map(({ letter, value }) => ({ key: null, value, timeMs: letter.head.atMs }))),
    }))
    return this.#close(letters, parts, 'retried')
  }

  /** Marks letters in one commit with what happens to them. Returns their number. */
  async #close(letters: readonly Letter[], parts: readonly LogPart[], mark: Mark): Promise<number> {
    if (letters.length === 0) return 0
    const { log, clock, pipeline } = this.#options
    const topic = marksTopic(pipeline)
    this.#writer ??= await log.openWriter(topic)
    const timeMs = clock.nowMs()
    const value = Buffer.from(JSON.stringify({ state: mark, atMs: timeMs }))
    const marks = recordBatch(letters.map(({ id }) => ({ key: Buffer.from(String(id)), value, timeMs })))
    await this.#writer.commit([...parts, { topic, partition: 0, batch: marks }])
    for (const { id, letter } of letters) {
      this.#marks.set(id, mark)
      const group = this.#groups.get(`${letter.head.code} ${letter.head.operator}`)
      if (group !== undefined) group.closed++
    }
    return letters.length
  }

  /** Reads the marks once, then the letters that came since the last look. */
  async #catchUp(): Promise<void> {
    const { log } = this.#options
    if (!this.#opened) {
      await this.#openMarks()
      this.#opened = true
    }
    const start = log.ends(this.#topic)[0]?.start ?? 0
    this.#forget(start)
    for await (const { id, letter } of this.#read(this.#next)) {
      this.#note(id, letter)
      this.#next = id + 1
    }
  }

  #note(id: number, letter: DeadLetter): void {
    const { code, operator, atMs } = letter.head
    const key = `${code} ${operator}`
    const view = this.#view(id, letter)
    const group = this.#groups.get(key)
    const closed = this.#marks.has(id) ? 1 : 0
    if (group === undefined) {
      this.#groups.set(key, { code, operator, count: 1, closed, firstAtMs: atMs, lastAtMs: atMs, sample: view })
      return
    }
    group.count++
    group.closed += closed
    group.lastAtMs = atMs
    if (group.sample.state !== 'open' || closed === 0) group.sample = view
  }

  /** Retention took letters away: the counts are made anew, which is rare. */
  #forget(start: number): void {
    if (start <= this.#countedFrom) return
    this.#countedFrom = start
    this.#groups.clear()
    this.#next = start
    for (const id of this.#marks.keys()) if (id < start) this.#marks.delete(id)
  }

  async #openMarks(): Promise<void> {
    const { log, pipeline, clock } = this.#options
    const topic = marksTopic(pipeline)
    if (log.topic(topic) === null) await log.createTopic(topic, { partitions: 1, compacted: true, internal: true })
    const start = log.ends(this.#topic)[0]?.start ?? 0
    const gone: number[] = []
    for await (const { key, value, hasValue } of readRecords(log, topic, 0)) {
      const id = Number(key)
      if (!hasValue) this.#marks.delete(id)
      else if (id >= start) this.#marks.set(id, (JSON.parse(text.decode(value)) as { readonly state: Mark }).state)
      else gone.push(id)
    }
    // Letters that retention took away need no mark any more.
    if (gone.length > 0)
      await log.append([
        {
          topic,
          partition: 0,
          batch: recordBatch(gone.map((id) => ({ key: Buffer.from(String(id)), value: null, timeMs: clock.nowMs() }))),
        },
      ])
  }

  async *#read(from: number): AsyncGenerator<Letter> {
    for await (const { offset, value } of readRecords(this.#options.log, this.#topic, from)) {
      yield { id: offset, letter: decodeLetter(value, 0, value.length), value }
    }
  }

  #view(id: number, { head, original }: DeadLetter): DeadLetterView {
    const { code, operator, message, fix, place, topic, partition, offset, timeMs, atMs, attempt } = head
    return {
      id,
      code,
      operator,
      message,
      fix,
      place,
      topic,
      partition,
      offset,
      timeMs: timeMs < 0 ? null : timeMs,
      atMs,
      attempt,
      ...shown(original),
      state: this.#marks.get(id) ?? 'open',
    }
  }
}

function shown(bytes: Uint8Array): { readonly text: string | null; readonly base64: string | null } {
  try {
    return { text: text.decode(bytes), base64: null }
  } catch {
    return { text: null, base64: Buffer.from(bytes).toString('base64') }
  }
}

function fits({ head }: DeadLetter, filter: LetterFilter): boolean {
  return (filter.code === undefined || head.code === filter.code) && (filter.operator === undefined || head.operator === filter.operator)
}

interface ReadRecord {
  readonly offset: number
  readonly key: string
  readonly value: Uint8Array
  readonly hasValue: boolean
}

/** Records of partition 0 from an offset to the end as it is now; keys as text, values as copies. */
async function* readRecords(log: Log, topic: string, from: number): AsyncGenerator<ReadRecord> {
  const ends = log.topic(topic) === null ? undefined : log.ends(topic)[0]
  if (ends === undefined) return
  const reader = log.reader()
  try {
    for (let offset = Math.max(from, ends.start); offset < ends.end;) {
      const [fetched] = await reader.fetch([{ topic, partition: 0, offset }], { bytesMax: FETCH_BYTES })
      const part = must(fetched, 'fetched partition')
      if (part.error !== null) throw part.error
      const rows = new RecordRows()
      // The reader's buffer is its own until the next fetch, and whoever iterates may read in between.
      const count = rows.read(part.bytes.slice(), offset)
      for (let row = 0; row < count; row++) {
        const start = rows.valueStarts[row] as number
        yield {
          offset: rows.offsets[row] as number,
          key: Buffer.from(rows.bytes.subarray(Math.max(0, rows.keyStarts[row] as number), rows.keyEnds[row])).toString(),
          value: start < 0 ? new Uint8Array(0) : rows.bytes.slice(start, rows.valueEnds[row]),
          hasValue: start >= 0,
        }
      }
      if (part.next <= offset) return
      offset = part.next
    }
  } finally {
    reader.close()
  }
}
