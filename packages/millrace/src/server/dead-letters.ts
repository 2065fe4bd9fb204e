// Dead letters for those who look at them: grouped by cause, listed with their bytes, sent back to the operator that failed.
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
import type { DeadLetterGroup, DeadLetterView, RetryAnswer, RetryRequest } from '../api.ts'

const FETCH_BYTES = 1 << 20
/** Bytes of letters that one commit moves. */
const COMMIT_BYTES_MAX = 2 << 20
const text = new TextDecoder('utf-8', { fatal: true })

export function marksTopic(pipeline: string): string {
  return `__${pipeline}.dead-letter-marks`
}

export interface LetterFilter {
  readonly code?: string | undefined
  readonly operator?: string | undefined
}

interface Group {
  readonly code: string
  readonly operator: string
  count: number
  retried: number
  firstAtMs: number
  lastAtMs: number
  sample: DeadLetterView
}

interface Letter {
  readonly id: number
  readonly letter: DeadLetter
  readonly value: Uint8Array
}

export interface DeadLettersOptions {
  readonly log: Log
  readonly clock: Clock
  readonly pipeline: string
  /** Code version with which the pipeline was started last: letters of another one cannot enter. */
  readonly codeVersion: () => Promise<string>
}

/** The dead letters of one pipeline. Calls queue behind each other. */
export class DeadLetters {
  readonly #options: DeadLettersOptions
  readonly #topic: string
  readonly #groups = new Map<string, Group>()
  readonly #retried = new Set<number>()
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

  /** Groups by cause with at least one letter kept, most letters first. Counts letters that were not retried. */
  groups(): Promise<readonly DeadLetterGroup[]> {
    return this.#queue(async () => {
      await this.#catchUp()
      const open = [...this.#groups.values()].filter((group) => group.count > group.retried)
      return open
        .toSorted((a, b) => b.count - b.retried - (a.count - a.retried))
        .map(({ code, operator, count, retried, firstAtMs, lastAtMs, sample }) => ({
          pipeline: this.#options.pipeline,
          code,
          operator,
          count: count - retried,
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
        if (!fits(letter, filter)) continue
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

  async close(): Promise<void> {
    await this.#queue(async () => this.#writer?.close())
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #retry(request: RetryRequest): Promise<RetryAnswer> {
    const ids = request.ids === undefined ? null : new Set(request.ids)
    if (ids === null && request.code === undefined && request.operator === undefined) {
      throw new MillraceError('MR_HTTP_BODY_INVALID', { message: 'name the letters to retry: `ids`, or `code` and `operator`.' })
    }
    await this.#catchUp()
    const running = await this.#options.codeVersion()
    const refused = new Map<string, number>()
    let moved = 0
    let batch: Letter[] = []
    let bytes = 0
    const first = ids === null || ids.size === 0 ? 0 : Math.min(...ids)
    const last = ids === null ? this.#next : Math.max(-1, ...ids)
    for await (const one of this.#read(first)) {
      if (one.id > last) break
      if ((ids !== null && !ids.has(one.id)) || !fits(one.letter, request)) continue
      const reason = this.#retried.has(one.id) ? 'it was retried before' : this.#whyNot(one.letter, running)
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

  #whyNot({ head }: DeadLetter, running: string): string | null {
    const { log, pipeline } = this.#options
    const partitions = log.topic(retryTopic(pipeline, head.part))?.settings.partitions ?? 0
    if (head.group >= partitions) return `the pipeline has no part \`${head.part}\` with group ${head.group} any more`
    if (head.codeVersion !== running)
      return `it was written by another version of the pipeline (${head.codeVersion}, running ${running}): replay the range of the source that holds it`
    return null
  }

  async #move(letters: readonly Letter[]): Promise<number> {
    if (letters.length === 0) return 0
    const { log, clock, pipeline } = this.#options
    const marks = marksTopic(pipeline)
    this.#writer ??= await log.openWriter(marks)
    const atMs = clock.nowMs()
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
    parts.push({
      topic: marks,
      partition: 0,
      batch: recordBatch(
        letters.map(({ id }) => ({ key: Buffer.from(String(id)), value: Buffer.from(`{"state":"retried","atMs":${atMs}}`), timeMs: atMs })),
      ),
    })
    await this.#writer.commit(parts)
    for (const { id, letter } of letters) this.#mark(id, letter)
    return letters.length
  }

  #mark(id: number, letter: DeadLetter): void {
    this.#retried.add(id)
    const group = this.#groups.get(`${letter.head.code} ${letter.head.operator}`)
    if (group !== undefined) group.retried++
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
    const retried = this.#retried.has(id) ? 1 : 0
    if (group === undefined) {
      this.#groups.set(key, { code, operator, count: 1, retried, firstAtMs: atMs, lastAtMs: atMs, sample: view })
      return
    }
    group.count++
    group.retried += retried
    group.lastAtMs = atMs
    if (group.sample.state === 'retried' || retried === 0) group.sample = view
  }

  /** Retention took letters away: the counts are made anew, which is rare. */
  #forget(start: number): void {
    if (start <= this.#countedFrom) return
    this.#countedFrom = start
    this.#groups.clear()
    this.#next = start
    for (const id of this.#retried) if (id < start) this.#retried.delete(id)
  }

  async #openMarks(): Promise<void> {
    const { log, pipeline, clock } = this.#options
    const topic = marksTopic(pipeline)
    if (log.topic(topic) === null) await log.createTopic(topic, { partitions: 1, compacted: true, internal: true })
    const start = log.ends(this.#topic)[0]?.start ?? 0
    const gone: number[] = []
    for await (const { key, hasValue } of readRecords(log, topic, 0)) {
      const id = Number(key)
      if (!hasValue) this.#retried.delete(id)
      else if (id >= start) this.#retried.add(id)
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
      timeMs,
      atMs,
      attempt,
      ...shown(original),
      state: this.#retried.has(id) ? 'retried' : 'open',
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
