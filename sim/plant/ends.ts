// Ends of the simulated pipelines: tables, topics and an archive, each checked against a computation from scratch.
import { count, countDistinct, custom as customAggregate, expr, max, mean, min, sum, t, topic, tumbling } from '@millrace/core'
import { ndjson } from '@millrace/core/connect'
import type { Random, Sink } from '@millrace/core/connect'
import { parquet } from '@millrace/parquet'
import { ARCHIVES, archive } from './archive-sink.ts'
import type { End, OracleContext } from './recipe.ts'
import { sameTexts, violated } from './violation.ts'
import type { Event, OracleRow } from './rows.ts'
import { EVENT } from './rows.ts'
import { canonical } from './steps.ts'
import type { Name } from './steps.ts'

export type EndMaker = (random: Random, name: Name) => End

const WINDOWS_MS = [1_000, 7_000, 60_000] as const
const GRACES_MS = [0, 0, 500, 20_000] as const
const LARGE = 50

interface Figures {
  readonly n: number
  readonly total: number
  readonly low: number
  readonly high: number
  readonly middle: number
  readonly ids: number
  readonly large: number
}

function figuresOf(rows: readonly OracleRow[]): Figures {
  const amounts = rows.map((row) => row.value.amount)
  const total = amounts.reduce((all, amount) => all + amount, 0)
  const ids = new Set(rows.map((row) => row.value.id)).size
  const large = amounts.filter((amount) => amount > LARGE).length
  return { n: rows.length, total, low: Math.min(...amounts), high: Math.max(...amounts), middle: total / rows.length, ids, large }
}

function figuresText(row: Readonly<Record<string, unknown>>): string {
  const number = (name: string): number => Number(row[name])
  return JSON.stringify([
    number('n'),
    number('total'),
    number('low'),
    number('high'),
    number('middle').toFixed(6),
    number('ids'),
    number('large'),
  ])
}

const aggregates = () =>
  ({
    n: count(),
    total: sum('amount'),
    low: min('amount'),
    high: max('amount'),
    middle: mean('amount'),
    ids: countDistinct('id'),
    large: count({ where: expr<Event, boolean | null>((row) => row.amount.gt(LARGE)) }),
  }) as const

function group<T>(rows: readonly T[], by: (row: T) => string): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(rows, by)
}

const totals: EndMaker = (random, naming) => {
  const name = naming('totals')
  const by = random.pick(['key', 'shop'] as const)
  return {
    label: `aggregate by ${by} to table ${name}`,
    build: (flow) => flow.groupBy(by).aggregate(aggregates(), { name }).toTable(name),
    check: (rows, { seen }) => {
      const expected = [...group(rows, (row) => row.value[by])].map(([key, list]) => `${key} ${figuresText({ ...figuresOf(list) })}`)
      sameTexts(
        `table ${name}`,
        seen.table(name).map((row) => `${String(row[by])} ${figuresText(row)}`),
        expected,
      )
    },
  }
}

const latest: EndMaker = (_random, naming) => {
  const name = naming('latest')
  return {
    label: `newest row per id to table ${name}`,
    build: (flow) => flow.toTable(name, { key: 'id' }),
    check: (rows, { seen }) => {
      const candidates = new Map(
        [...group(rows, (row) => String(row.value.id))].map(([id, list]) => [id, new Set(list.map((row) => canonical(row.value)))]),
      )
      const table = seen.table(name).map((row) => row as unknown as Event)
      sameTexts(
        `keys of table ${name}`,
        table.map((row) => String(row.id)),
        [...candidates.keys()],
      )
      for (const row of table)
        if (candidates.get(String(row.id))?.has(canonical(row)) !== true)
          violated(`table ${name} has ${canonical(row)}, which no record gives`)
    },
  }
}

const copied: EndMaker = (random, naming) => {
  const target = topic(naming('copy'), { value: EVENT, key: 'key', partitions: 1 + random.below(3) })
  return {
    label: `to topic ${target.name}`,
    build: (flow) => flow.to(target, { name: naming('to') }),
    check: (rows, { seen }) => {
      const records = seen.topic(target.name)
      sameTexts(
        `topic ${target.name}`,
        records.map((record) => canonical(JSON.parse(record.text ?? 'null') as Event)),
        rows.map((row) => canonical(row.value)),
      )
    },
  }
}

/** The archive sinks of the product, and a small honest one of our own. */
function sinkOf(random: Random, folder: string): Sink<Event> {
  const ageMs = 200 + random.below(2_000)
  const kind = random.below(10)
  if (kind < 4)
    return ndjson({
      dir: folder,
      rollMs: ageMs,
      rollBytes: 1 + random.below(8_000),
      ...(random.chance(0.5) ? { partitionBy: ['shop'] } : {}),
    })
  if (kind < 6) return parquet({ dir: folder, rollMs: ageMs })
  return archive({ folder, rowsMax: 1 + random.below(60), ageMsMax: ageMs })
}

const archived: EndMaker = (random, naming) => {
  const folder = `${ARCHIVES}/${naming('sink')}`
  const sink = sinkOf(random, folder)
  return {
    label: `to sink ${sink.spec.type} ${folder}`,
    isSink: true,
    build: (flow) => flow.to(sink, { name: naming('archive') }),
    check: (rows, { seen }) => {
      const texts = seen.archive(folder).map((row) => canonical(row as unknown as Event))
      sameTexts(
        `archive ${folder}`,
        texts,
        rows.map((row) => canonical(row.value)),
      )
    },
  }
}

/** Which rows a windowed operator takes: late ones are those whose window had closed before their tick. */
function splitLate(
  rows: readonly OracleRow[],
  operator: string,
  endOf: (row: OracleRow) => number,
  graceMs: number,
  context: OracleContext,
): { readonly kept: readonly OracleRow[]; readonly late: readonly OracleRow[] } {
  const { clocks } = context
  const part = clocks.partOf(context.node(operator))
  const isBinder = clocks.isBinder(part)
  const isLate = (row: OracleRow): boolean =>
    endOf(row) + graceMs <= clocks.before(part, isBinder ? row.partition % clocks.groups(part) : 0, row.tick)
  return { kept: rows.filter((row) => !isLate(row)), late: rows.filter(isLate) }
}

/** The watermark that a window of these rows has been held against in the end. */
function lastWatermark(operator: string, row: OracleRow, context: OracleContext): number {
  const { clocks, ended } = context
  if (ended) return Number.POSITIVE_INFINITY
  const part = clocks.partOf(context.node(operator))
  return clocks.last(part, clocks.isBinder(part) ? row.partition % clocks.groups(part) : 0)
}

const windows: EndMaker = (random, naming) => {
  const name = naming('windows')
  const sizeMs = random.pick(WINDOWS_MS)
  const graceMs = random.pick(GRACES_MS)
  const emit = random.pick(['update', 'close', 'close'] as const)
  const lateTopic = random.chance(0.5) ? topic(naming('late'), { value: EVENT, key: 'key' }) : null
  const toTable = emit === 'update' || random.chance(0.3)
  const value = t.object({
    key: t.string(),
    windowStart: t.time(),
    windowEnd: t.time(),
    n: t.i64(),
    total: t.optional(t.i64()),
    low: t.optional(t.i32()),
    high: t.optional(t.i32()),
    middle: t.optional(t.f64()),
    ids: t.i64(),
    large: t.i64(),
  })
  const target = topic(`${name}-topic`, { value, key: 'key', partitions: 1 + random.below(2) })
  const startOf = (row: OracleRow): number => Math.floor(row.value.at / sizeMs) * sizeMs
  const textOf = (row: Readonly<Record<string, unknown>>): string =>
    `${String(row['key'])} ${String(row['windowStart'])} ${figuresText(row)}`
  return {
    label: `windows of ${sizeMs} ms (grace ${graceMs}, ${emit}) to ${toTable ? 'table' : 'topic'} ${name}${lateTopic === null ? '' : `, late to ${lateTopic.name}`}`,
    closesAtEnd: emit === 'close',
    build: (flow) => {
      const late = lateTopic === null ? {} : { late: (rows: typeof flow) => rows.to(lateTopic, { name: naming('to-late') }) }
      const result = flow
        .groupBy('key')
        .window(tumbling({ sizeMs, graceMs }))
        .aggregate(aggregates(), { name, emit, ...late })
      if (toTable) result.toTable(name)
      else result.to(target, { name: naming('to') })
    },
    check: (rows, context) => {
      const { kept, late } = splitLate(rows, name, (row) => startOf(row) + sizeMs, graceMs, context)
      if (lateTopic === null)
        for (const row of late) context.letters.push({ operator: name, code: 'MR_TIME_LATE', subject: String(row.value.id) })
      else
        sameTexts(
          `late topic ${lateTopic.name}`,
          context.seen.topic(lateTopic.name).map((record) => canonical(JSON.parse(record.text ?? 'null') as Event)),
          late.map((row) => canonical(row.value)),
        )
      const expected: string[] = []
      for (const [id, list] of group(kept, (row) => `${row.value.key} ${startOf(row)}`)) {
        const [first] = list
        if (first === undefined) continue
        const isOpen = startOf(first) + sizeMs + graceMs > lastWatermark(name, first, context)
        if (emit === 'update' || !isOpen) expected.push(`${id} ${figuresText({ ...figuresOf(list) })}`)
      }
      const seen = toTable
        ? context.seen.table(name)
        : context.seen.topic(target.name).map((record) => JSON.parse(record.text ?? 'null') as Readonly<Record<string, unknown>>)
      sameTexts(`windows ${name}`, seen.map(textOf), expected)
    },
  }
}

const upserts: EndMaker = (random, naming) => {
  const name = naming('upserts')
  const target = topic(`${name}-topic`, {
    value: t.object({ shop: t.string(), n: t.i64(), total: t.optional(t.i64()) }),
    key: 'shop',
    compacted: true,
    partitions: 1 + random.below(2),
  })
  return {
    label: `aggregate by shop to compacted topic ${target.name}`,
    build: (flow) =>
      flow
        .groupBy('shop')
        .aggregate({ n: count(), total: sum('amount') }, { name })
        .to(target, { name: naming('to') }),
    check: (rows, { seen }) => {
      const newest = new Map<string, { readonly shop: string; readonly n: number; readonly total: number }>()
      for (const record of seen.topic(target.name)) {
        const row = JSON.parse(record.text ?? 'null') as { readonly shop: string; readonly n: number; readonly total: number }
        if (record.key !== row.shop) violated(`topic ${target.name}: key ${String(record.key)} of a row of ${row.shop}`)
        const before = newest.get(row.shop)
        if (before !== undefined && Number(row.n) <= Number(before.n))
          violated(`topic ${target.name}: ${row.shop} goes from ${before.n} to ${row.n}`)
        newest.set(row.shop, row)
      }
      const expected = [...group(rows, (row) => row.value.shop)].map(([shop, list]) => `${shop} ${list.length} ${figuresOf(list).total}`)
      sameTexts(
        `newest of ${target.name}`,
        [...newest.values()].map((row) => `${row.shop} ${row.n} ${row.total}`),
        expected,
      )
    },
  }
}

/** Groups by a lambda, with an aggregate of one's own. */
const custom: EndMaker = (_random, naming) => {
  const name = naming('custom')
  return {
    label: `custom aggregate by lambda to table ${name}`,
    build: (flow) =>
      flow
        .groupBy((row) => `${row.shop}/${row.key}`)
        .aggregate(
          { n: count(), last: customAggregate({ initial: () => 0, add: (all: number, row: Event) => (all + row.id) % 1_000_003 }) },
          { name },
        )
        .toTable(name),
    check: (rows, { seen }) => {
      const expected = [...group(rows, (row) => `${row.value.shop}/${row.value.key}`)].map(
        ([key, list]) => `${key} ${list.length} ${list.reduce((all, row) => (all + row.value.id) % 1_000_003, 0)}`,
      )
      sameTexts(
        `table ${name}`,
        seen.table(name).map((row) => `${String(row['key'])} ${String(row['n'])} ${String(row['last'])}`),
        expected,
      )
    },
  }
}

/** Counts per key, row by row: each number once, in order, and records of one partition in their order. */
const numbered: EndMaker = (random, naming) => {
  const name = naming('numbered')
  const value = t.object({ key: t.string(), number: t.i64(), id: t.i64() })
  const target = topic(`${name}-topic`, { value, key: 'key', partitions: 1 + random.below(2) })
  return {
    label: `scan that numbers the rows of each key to ${target.name}`,
    build: (flow) =>
      flow
        .scan(
          () => 0,
          (before, row) => ({ state: before + 1, rows: [{ key: row.key, number: before + 1, id: row.id }] }),
          { by: 'key', name, value },
        )
        .to(target, { name: naming('to') }),
    check: (rows, { seen, isScattered, isReordered }) => {
      const records = seen
        .topic(target.name)
        .map((record) => JSON.parse(record.text ?? 'null') as { readonly key: string; readonly number: number; readonly id: number })
      sameTexts(
        `rows of ${target.name}`,
        records.map((row) => `${row.key} ${row.id}`),
        rows.map((row) => `${row.value.key} ${row.value.id}`),
      )
      const numbers = new Map<string, number>()
      for (const row of records) {
        if (row.number !== (numbers.get(row.key) ?? 0) + 1)
          violated(`topic ${target.name}: ${row.key} goes from ${numbers.get(row.key) ?? 0} to ${row.number}`)
        numbers.set(row.key, row.number)
      }
      if (!isReordered) checkOrder(target.name, records, rows, isScattered)
    },
  }
}

/** Rows of a key come in the order of ticks; inside a tick those of one partition by offset, unless they went through several tasks. */
function checkOrder(
  where: string,
  records: readonly { readonly key: string; readonly id: number }[],
  rows: readonly OracleRow[],
  isScattered: boolean,
): void {
  const byId = group(rows, (row) => String(row.value.id))
  const last = new Map<string, OracleRow>()
  for (const record of records) {
    const [origin, ...more] = byId.get(String(record.id)) ?? []
    if (origin === undefined || more.length > 0) continue
    const lane = `${record.key} of ${origin.topic}/${origin.partition}`
    const before = last.get(lane)
    const goesBack = before !== undefined && (origin.tick < before.tick || (!isScattered && origin.offset < before.offset))
    if (goesBack) violated(`${where}: ${lane} is out of order at offset ${origin.offset}`)
    last.set(lane, origin)
  }
}

/** Windows that close feed a second aggregate: sums of sums. */
const chained: EndMaker = (random, naming) => {
  const name = naming('chain')
  const sizeMs = random.pick(WINDOWS_MS)
  return {
    label: `windows of ${sizeMs} ms that close, added up in table ${name}`,
    closesAtEnd: true,
    build: (flow) => {
      const closed = flow
        .groupBy('key', 'shop')
        .window(tumbling({ sizeMs }))
        .aggregate({ n: count() }, { name: `${name}-windows`, emit: 'close' })
      closed
        .groupBy('shop')
        .aggregate({ windows: count(), events: sum('n') }, { name })
        .toTable(name)
    },
    check: (rows, context) => {
      const operator = `${name}-windows`
      const startOf = (row: OracleRow): number => Math.floor(row.value.at / sizeMs) * sizeMs
      const { kept, late } = splitLate(rows, operator, (row) => startOf(row) + sizeMs, 0, context)
      for (const row of late) context.letters.push({ operator, code: 'MR_TIME_LATE', subject: String(row.value.id) })
      const closed = kept.filter((row) => startOf(row) + sizeMs <= lastWatermark(operator, row, context))
      const expected = [...group(closed, (row) => row.value.shop)].map(
        ([shop, list]) => `${shop} ${new Set(list.map((row) => `${row.value.key} ${startOf(row)}`)).size} ${list.length}`,
      )
      sameTexts(
        `table ${name}`,
        context.seen.table(name).map((row) => `${String(row['shop'])} ${String(row['windows'])} ${String(row['events'])}`),
        expected,
      )
    },
  }
}

export const ENDS: Readonly<Record<string, EndMaker>> = { totals, latest, copied, archived, windows, upserts, custom, numbered, chained }
