// A simulated plant: the flights example as the page sees it, moved on by `step`. One seed gives one run. It knows nothing of HTTP.
import type {
  DeadLetterGroup,
  DeadLetterView,
  DiscardAnswer,
  Notice,
  PlantStatus,
  RetryAnswer,
  RetryRequest,
  TailRecord,
} from 'millrace/api'
import type { InputStatus, NodeStatus, PipelineStatus, TablePage, TaskStatus } from '@millrace/core/engine'
import { LETTER_CAUSES, SAMPLE_NODES, SAMPLE_PARTS } from './sample-plan.ts'

const HOUR_MS = 3_600_000
const PARTITIONS = 4
const TAIL_MAX = 400
const AIRPORTS = ['ATL', 'BOS', 'DEN', 'DFW', 'EWR', 'IAH', 'JFK', 'LAS', 'LAX', 'MIA', 'MSP', 'ORD', 'PHX', 'SEA', 'SFO']

/** mulberry32: small, good enough, the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Hour {
  flights: number
  late: number
  delaySum: number
  delayMax: number
}

export class SamplePlant {
  readonly retries: RetryRequest[] = []
  readonly #random: () => number
  readonly #startedAtMs: number
  #nowMs: number
  #simulatedMs = Date.UTC(2001, 0, 3, 5)
  readonly #counters = new Map<string, { rowsIn: number; rowsOut: number; rowsLate: number; rowsDropped: number }>()
  readonly #topics = new Map<
    string,
    { records: number; bytes: number; rate: number; tails: Map<number, { end: number; records: TailRecord[] }> }
  >()
  readonly #hours = new Map<string, Hour>()
  readonly #letters: DeadLetterView[] = []
  readonly #notices: Notice[] = []
  #ticks = 0
  #flights = 182_000
  #commits = 0

  constructor(options: { readonly seed: number; readonly nowMs: number }) {
    this.#random = randomFrom(options.seed)
    this.#startedAtMs = options.nowMs - 754_000
    this.#nowMs = options.nowMs
    for (const node of SAMPLE_NODES) this.#counters.set(node.name, { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 })
    for (const topic of ['departures', 'alerts', 'late-departures', 'flights.dead-letters']) {
      this.#topics.set(topic, { records: 0, bytes: 0, rate: 0, tails: new Map() })
    }
    for (let past = 59; past >= 0; past--) this.step(options.nowMs - past * 12_000)
    this.#notices.push(
      notice(this.#nowMs - 412_000, 'info', 'ingest/0', null, 'Restored 48,210 rows of state in 180 ms.', null, 1),
      notice(
        this.#nowMs - 96_000,
        'warning',
        'archive/0',
        'MR_SINK_UNAVAILABLE',
        'The sink did not answer; it is tried again every 5 s.',
        'Nothing to do: the archive goes on where it stopped.',
        3,
      ),
      notice(
        this.#nowMs - 41_000,
        'warning',
        'ingest/0',
        'MR_CODEC_JSON_INVALID',
        'Records went to the dead letters: the value is not valid JSON.',
        'Correct the producer, then `npx millrace dlq retry`.',
        18,
      ),
    )
  }

  /** Moves the plant on to the given wall time: one simulated hour per second. */
  step(nowMs: number): void {
    this.#nowMs = nowMs
    this.#ticks++
    this.#commits += 9 + Math.floor(this.#random() * 3)
    const wave = 1 + 0.35 * Math.sin(this.#ticks / 11) + 0.12 * Math.sin(this.#ticks / 2.3)
    const records = Math.round(1150 * wave + this.#random() * 160)
    for (let count = 0; count < 14; count++) this.#append('departures', Math.floor(this.#random() * PARTITIONS), this.#flight())
    this.#grow('departures', records, records * 96)
    this.#moveCounters(records)
    this.#simulatedMs += HOUR_MS / 4
    for (const airport of AIRPORTS) this.#fillHour(airport)
    if (this.#ticks % 9 === 0) this.#raiseAlert()
    if (this.#ticks % 13 === 0) this.#addLetter()
  }

  #moveCounters(records: number): void {
    const clean = Math.round(records * 0.985)
    const once = Math.round(clean * 0.97)
    this.#add('clean', records, clean, 0, records - clean)
    this.#add('once', clean, once, 0, clean - once)
    this.#add('with-airport', once, once)
    this.#add('archive', once, once)
    this.#add('per-hour', once, Math.round(once * 0.06), Math.round(this.#random() * 2))
    this.#add('hourly', Math.round(once * 0.06), 0)
    this.#add('unusual-delays', Math.round(once * 0.06), 0)
  }

  #add(name: string, rowsIn: number, rowsOut: number, rowsLate = 0, rowsDropped = 0): void {
    const counters = this.#counters.get(name)
    if (counters === undefined) return
    counters.rowsIn += rowsIn
    counters.rowsOut += rowsOut
    counters.rowsLate += rowsLate
    counters.rowsDropped += rowsDropped
  }

  #flight(): unknown {
    const origin = this.#airport()
    const delay = Math.round(-8 + this.#random() ** 3 * 140)
    const date = new Date(this.#simulatedMs + this.#random() * HOUR_MS).toISOString()
    return {
      id: this.#flights++,
      date,
      delay,
      distance: Math.round(180 + this.#random() * 2300),
      origin,
      destination: this.#airport(),
    }
  }

  #airport(): string {
    return AIRPORTS[Math.floor(this.#random() * AIRPORTS.length)] ?? 'ATL'
  }

  #fillHour(airport: string): void {
    const windowStart = Math.floor(this.#simulatedMs / HOUR_MS) * HOUR_MS
    const key = `${airport} ${windowStart}`
    const hour = this.#hours.get(key) ?? { flights: 0, late: 0, delaySum: 0, delayMax: 0 }
    const delay = Math.round(this.#random() ** 2 * 90)
    hour.flights += 4 + Math.floor(this.#random() * 9)
    hour.late += this.#random() < 0.35 ? 1 + Math.floor(this.#random() * 2) : 0
    hour.delaySum += delay * 2
    hour.delayMax = Math.max(hour.delayMax, delay)
    this.#hours.set(key, hour)
  }

  #raiseAlert(): void {
    const origin = this.#airport()
    const at = Math.floor(this.#simulatedMs / HOUR_MS) * HOUR_MS
    const value = { airport: origin, windowStart: new Date(at).toISOString(), flights: 26, lateShare: 0.42, usualLateShare: 0.17 }
    this.#append('alerts', 0, value, origin)
    this.#grow('alerts', 1, 120)
    this.#add('unusual-delays', 0, 1)
    this.#append('late-departures', 0, this.#flight())
    this.#grow('late-departures', 1, 96)
  }

  #addLetter(): void {
    const cause = LETTER_CAUSES[Math.floor(this.#random() ** 1.6 * LETTER_CAUSES.length)] ?? LETTER_CAUSES[0]
    if (cause === undefined) return
    const id = this.#letters.length
    this.#letters.push({
      ...cause,
      id,
      topic: 'departures',
      partition: id % PARTITIONS,
      offset: this.#topics.get('departures')?.records ?? 0,
      timeMs: this.#simulatedMs,
      atMs: this.#nowMs,
      attempt: 1,
      state: 'open',
    })
    this.#grow('flights.dead-letters', 1, 300)
  }

  #append(topic: string, partition: number, value: unknown, key: string | null = null): void {
    const log = this.#topics.get(topic)
    if (log === undefined) return
    const tail = log.tails.get(partition) ?? { end: 0, records: [] }
    tail.records.push({ partition, offset: tail.end, timeMs: this.#simulatedMs, key, value, bytes: null })
    tail.end++
    if (tail.records.length > TAIL_MAX) tail.records.shift()
    log.tails.set(partition, tail)
  }

  #grow(topic: string, records: number, bytes: number): void {
    const log = this.#topics.get(topic)
    if (log === undefined) return
    log.records += records
    log.bytes += bytes
    log.rate = log.rate === 0 ? records : log.rate * 0.8 + records * 0.2
  }

  tail(
    topic: string,
    partition: number,
    from: string,
    limit: number,
  ): { readonly records: readonly TailRecord[]; readonly next: number } | null {
    const log = this.#topics.get(topic)
    if (log === undefined) return null
    const tail = log.tails.get(partition) ?? { end: 0, records: [] }
    const start = from === 'latest' ? tail.end : from === 'earliest' ? 0 : Number(from)
    const records = tail.records.filter((record) => record.offset >= start).slice(0, limit)
    return { records, next: (records.at(-1)?.offset ?? tail.end - 1) + 1 }
  }

  table(
    name: string,
    query: {
      readonly prefix: readonly string[]
      readonly from: string | null
      readonly to: string | null
      readonly by: string | null
      readonly descending: boolean
      readonly limit: number
    },
  ): TablePage | null {
    if (name !== 'hourly') return null
    const all = [...this.#hours].map(([key, hour]) => {
      const [airport = '', start = '0'] = key.split(' ')
      const { flights, late, delaySum, delayMax } = hour
      return {
        airport,
        windowStart: Number(start),
        windowEnd: Number(start) + HOUR_MS,
        flights,
        late,
        lateShare: late / flights,
        delayMean: delaySum / flights,
        delayMax,
      }
    })
    const [airport] = query.prefix
    const bounded = (value: string | number): boolean =>
      (query.from === null || String(value) >= query.from) && (query.to === null || String(value) < query.to)
    const rows = all
      .filter((row) => (airport === undefined || row.airport === airport) && bounded(airport === undefined ? row.airport : row.windowStart))
      .toSorted((a, b) => (query.descending ? -1 : 1) * (order(a, b, query.by) || order(a, b, 'airport') || order(a, b, 'windowStart')))
    return { table: name, rows: rows.slice(0, query.limit), rowCount: all.length, tick: this.#ticks, watermarkMs: this.#watermark() }
  }

  letters(code: string | null, operator: string | null): readonly DeadLetterView[] {
    return this.#letters.filter((letter) => (code === null || letter.code === code) && (operator === null || letter.operator === operator))
  }

  letterGroups(): readonly DeadLetterGroup[] {
    const groups = new Map<string, DeadLetterGroup>()
    for (const letter of this.#letters.filter((each) => each.state === 'open')) {
      const key = `${letter.code} ${letter.operator}`
      const firstAtMs = groups.get(key)?.firstAtMs ?? letter.atMs
      const count = (groups.get(key)?.count ?? 0) + 1
      groups.set(key, {
        pipeline: 'flights',
        code: letter.code,
        operator: letter.operator,
        count,
        firstAtMs,
        lastAtMs: letter.atMs,
        sample: letter,
      })
    }
    return [...groups.values()]
  }

  retry(request: RetryRequest): RetryAnswer {
    this.retries.push(request)
    return { moved: this.#close(request, 'retried'), refused: [] }
  }

  discard(request: RetryRequest): DiscardAnswer {
    return { discarded: this.#close(request, 'discarded') }
  }

  /** Returns the number of letters that were open. */
  #close(request: RetryRequest, state: 'retried' | 'discarded'): number {
    let closed = 0
    for (const [index, letter] of this.#letters.entries()) {
      const wanted = request.ids?.includes(letter.id) ?? (letter.code === request.code && letter.operator === request.operator)
      if (!wanted || letter.state !== 'open') continue
      this.#letters[index] = { ...letter, state }
      closed++
    }
    return closed
  }

  #watermark(): number {
    return this.#simulatedMs - 300_000
  }

  status(): PlantStatus {
    const nodes: Record<string, number> = {}
    for (const [name, counters] of this.#counters) nodes[name] = counters.rowsIn / Math.max(1, this.#ticks)
    return {
      version: '0.1.0',
      nowMs: this.#nowMs,
      startedAtMs: this.#startedAtMs,
      folder: '.millrace',
      pipelines: [this.#pipeline()],
      topics: [...this.#topics].map(([name, topic]) => ({
        name,
        partitions: name === 'departures' ? PARTITIONS : 1,
        records: topic.records,
        bytes: topic.bytes,
        retentionMs: 604_800_000,
        compacted: false,
        internal: false,
      })),
      memory: { residentBytes: 187e6 + 4e6 * Math.sin(this.#ticks / 7), heapBytes: 61e6, budgetBytes: 536_870_912 },
      disk: { freeBytes: 214e9, reserveBytes: 1_073_741_824 },
      log: null,
      rates: { topics: Object.fromEntries([...this.#topics].map(([name, topic]) => [name, topic.rate])), nodes },
      sources: [],
      notices: this.#notices,
    }
  }

  #pipeline(): PipelineStatus {
    const exchanged = this.#counters.get('per-hour')?.rowsIn ?? 0
    return {
      pipeline: 'flights',
      codeVersion: '5f0c2a91',
      phase: 'running',
      startedAtMs: this.#startedAtMs,
      nodes: SAMPLE_NODES.map((node, id): NodeStatus => ({
        id,
        mode: node.kind === 'aggregate' || node.kind === 'to-table' ? 'update' : 'append',
        ...node,
        counters: this.#counters.get(node.name) ?? NO_ROWS,
      })),
      exchanges: [
        { topic: '__flights.ingest.to.per-hour', from: 'ingest', to: 'per-hour', records: exchanged, bytes: exchanged * 60 },
        { topic: '__flights.ingest.to.archive', from: 'ingest', to: 'archive', records: exchanged, bytes: exchanged * 80 },
      ],
      tasks: SAMPLE_PARTS.flatMap((part) => Array.from({ length: part.groups }, (_, group) => this.#task(part, group))),
      tables: [
        {
          name: 'hourly',
          primaryKey: ['airport', 'windowStart'],
          fields: ['airport', 'windowStart', 'windowEnd', 'flights', 'late', 'lateShare', 'delayMean', 'delayMax'],
          times: ['windowStart', 'windowEnd'],
          numbers: ['flights', 'late', 'lateShare', 'delayMean', 'delayMax'],
          rows: this.#hours.size,
          bytes: this.#hours.size * 88,
        },
      ],
    }
  }

  #task(part: (typeof SAMPLE_PARTS)[number], group: number): TaskStatus {
    const watermarkMs = this.#watermark()
    const waitsForMs = part.windows ? (Math.floor(watermarkMs / HOUR_MS) + 1) * HOUR_MS : Number.POSITIVE_INFINITY
    const rows = Math.round((this.#counters.get(part.counts)?.rowsIn ?? 0) / part.groups)
    const why = `waits for the watermark ${iso(waitsForMs)}, it is ${iso(watermarkMs)}: producer ingest/1 is active at ${iso(watermarkMs)}`
    return {
      task: `${part.name}/${group}`,
      part: part.name,
      group,
      worker: null,
      phase: 'running',
      error: null,
      tick: 1_753_000_000 + this.#ticks * 10,
      watermarkMs,
      clock: 'active',
      lag: Math.floor(this.#random() * part.lag),
      stateRows: Math.round(rows * part.stateShare),
      stateBytes: Math.round(rows * part.stateShare * 72),
      commits: this.#commits,
      commitMsLast: 1.4 + this.#random() * 2.4,
      commitMsMax: 21.7,
      rowsIn: rows,
      rowsOut: Math.round(rows * 0.9),
      deadLetters: part.name === 'ingest' && group === 0 ? this.#letters.filter((letter) => letter.state === 'open').length : 0,
      lastCommitAtMs: this.#nowMs - (part.name === 'archive' ? this.#nowMs % 300_000 : Math.round(this.#random() * 90)),
      visibleMs: part.name === 'archive' ? null : 9 + this.#random() * 14,
      waitsForMs,
      openBecause: part.windows ? why : null,
      inputs: this.#inputs(part, group),
      sink: part.name === 'archive' ? this.#sink() : null,
    }
  }

  /** Files of a checkpoint every five minutes. */
  #sink(): TaskStatus['sink'] {
    const ageMs = this.#nowMs % 300_000
    const rows = Math.round(ageMs * 1.1)
    return { rows, unpublished: { files: 2, bytes: rows * 21, fullBytes: 134_217_728, dueMs: 300_000 - ageMs } }
  }

  #inputs(part: (typeof SAMPLE_PARTS)[number], group: number): readonly InputStatus[] {
    const watermarkMs = this.#watermark()
    if (part.input !== 'departures') {
      const producers = part.windows
        ? [0, 1].map((each) => ({
            task: `ingest/${each}`,
            through: this.#ticks,
            watermarkMs: watermarkMs + (1 - each) * 240_000,
            status: 'active',
          }))
        : []
      return [{ input: part.input, kind: 'exchange', lag: Math.floor(this.#random() * part.lag), partitions: [], producers }]
    }
    const partitions = [group, group + 2].map((partition) => ({
      partition,
      next: Math.round((this.#topics.get('departures')?.records ?? 0) / PARTITIONS),
      largestMs: watermarkMs + 300_000,
      watermarkMs: partition === 3 ? watermarkMs - 5 * HOUR_MS : watermarkMs + partition * 60_000,
      status: partition === 3 ? 'idle' : 'active',
      silentMs: partition === 3 ? 37_000 : 12,
      error: null,
    }))
    return [{ input: 'departures', kind: 'source', lag: Math.floor(this.#random() * part.lag), partitions, producers: [] }]
  }
}

function order(a: Readonly<Record<string, string | number>>, b: typeof a, by: string | null): number {
  const [left, right] = [a[by ?? 'airport'] ?? 0, b[by ?? 'airport'] ?? 0]
  return left < right ? -1 : left > right ? 1 : 0
}

const NO_ROWS = { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 }

function iso(ms: number): string {
  return new Date(Number.isFinite(ms) ? ms : 0).toISOString().replace('.000Z', 'Z')
}

function notice(
  atMs: number,
  level: Notice['level'],
  task: string,
  code: string | null,
  message: string,
  fix: string | null,
  count: number,
): Notice {
  return { atMs, level, task, code, message, fix, count }
}
