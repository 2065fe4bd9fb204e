// Misuse does not compile, and the compiler says why in a sentence. The cases run through the real compiler, because only its printed text
// shows what a user reads.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { typeCheck } from './type-check.fixture.ts'

const HEAD = `import { count, countDistinct, expr, fileTable, max, mean, min, pipeline, sum, t, topic, tumbling } from '@millrace/core'
import type { Sink } from '@millrace/core'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string(), agent: t.string(), status: t.i32(), tags: t.list(t.string()), seen: t.optional(t.time()) }), eventTime: 'at' })
const urls = topic('urls', { value: t.object({ url: t.string(), title: t.string() }), key: 'url' })
const keyless = topic('keyless', { value: t.object({ url: t.string() }) })
const pages = fileTable({ name: 'pages', path: 'pages.csv', format: 'csv', value: t.object({ path: t.string(), agent: t.string() }), key: 'path' })
declare const sink: Sink<{ url: string; missing: number }>
`

/** Code inside a pipeline, and what the compiler must say about it. */
const CASES: readonly (readonly [code: string, says: string])[] = [
  ["s.select('nope')", 'MillraceTypeError<"select(\'nope\'): the row has no such field">'],
  ["pipeline('q', (q) => q.from(hits).keyBy('url').toTable('x')).tables.y", "Property 'y' does not exist on type"],
  ["s.select('url', 'nope', { name: 'x' })", 'MillraceTypeError<"select(\'nope\'): the row has no such field">'],
  ["s.select({ link: 'nope' })", 'MillraceTypeError<"select(\'nope\'): the row has no such field">'],
  ['s.select({ link: expr((row) => row.nope) })', "Property 'nope' does not exist on type 'ExpressionRow<"],
  ["s.keyBy('nope')", 'MillraceTypeError<"keyBy(\'nope\'): the row has no such field">'],
  ["s.groupBy('nope')", 'MillraceTypeError<"groupBy(\'nope\'): the row has no such field">'],
  ["s.groupBy('url').aggregate({ n: sum('agent') })", 'MillraceTypeError<"sum(\'agent\'): the field is not a number">'],
  ["s.groupBy('url').aggregate({ n: mean('agent') })", 'MillraceTypeError<"mean(\'agent\'): the field is not a number">'],
  [
    "s.groupBy('url').aggregate({ n: max('tags') })",
    'MillraceTypeError<"max(\'tags\'): the field has no order; it is not a number, a time or a text">',
  ],
  ["s.groupBy('url').aggregate({ n: countDistinct('nope') })", 'MillraceTypeError<"countDistinct(\'nope\'): the row has no such field">'],
  [
    "s.groupBy('url').window(tumbling({ sizeMs: 1 })).aggregate({ n: min('nope') })",
    'MillraceTypeError<"min(\'nope\'): the row has no such field">',
  ],
  ["s.groupBy('url').aggregate({ n: sum(expr((row) => row.url)) })", "Type 'string' is not assignable to type 'number | bigint | null'"],
  [
    "s.groupBy('url').aggregate({ n: count({ where: expr((row) => row.status.plus(1)) }) })",
    "Type 'number' is not assignable to type 'MaybeBoolean'",
  ],
  ['s.filter(expr((row) => row.status.plus(1)))', "Type 'number' is not assignable to type 'MaybeBoolean'"],
  ['s.filter(expr((row) => row.url.plus(1)))', "Property 'plus' does not exist"],
  ['s.filter((row) => row.nope > 1)', "Property 'nope' does not exist on type"],
  ['s.map(async (row) => row.url)', 'MillraceTypeError<"the lambda must not be async: a stream of promises cannot be replayed">'],
  ['s.map((row) => ({ url: row.status }), { value: t.object({ url: t.string() }) })', "Type 'number' is not assignable to type 'string'"],
  ["s.keyBy('url').mapValues((row) => ({ status: row.status }))", "Property 'url' is missing in type"],
  ["s.toTable('all')", 'MillraceTypeError<"toTable: the stream has no key; name one in the options, or put keyBy before">'],
  [
    's.scan(() => 0, (state, row) => ({ state: state + row.status, rows: [] }))',
    'MillraceTypeError<"scan: the stream has no key; put keyBy before, or name it: { by: \'field\' }">',
  ],
  ['s.to(urls)', 'MillraceTypeError<"the row does not fit the value of this topic: a field is missing or has another type">'],
  ['s.to(sink)', "Property 'missing' is missing in type"],
  ['s.through(urls)', 'MillraceTypeError<"the row does not fit the value of this topic: a field is missing or has another type">'],
  [
    "s.merge(s.select('url'))",
    'MillraceTypeError<"merge: one side has fields that the other lacks; bring them to the same fields with select or map">',
  ],
  [
    's.merge(s.map((row) => ({ url: row.status })))',
    'MillraceTypeError<"merge: the rows differ; bring them to the same fields with select or map">',
  ],
  [
    "s.join(mill.table(pages), { on: { url: 'path' } })",
    "MillraceTypeError<\"join: both sides have 'agent'; take columns under new names with select: { newName: 'tableField' }\">",
  ],
  ["s.join(mill.table(pages), { on: { url: 'agent' } })", 'Type \'"agent"\' is not assignable to type \'"path"\''],
  [
    "s.join(mill.table(pages), { on: { status: 'path' } })",
    'MillraceTypeError<"join: no key field of the table has the type of \'status\'">',
  ],
  ["s.join(mill.table(urls), { on: 'agent' })", 'Type \'"agent"\' is not assignable to type'],
  ['mill.table(keyless)', 'MillraceTypeError<"table: the topic has no key; declare it with key: \'field\'">'],
  ["s.dedupe({ by: 'nope', withinMs: 1 })", 'Type \'"nope"\' is not assignable to type'],
  [
    "topic('x', { value: t.object({ a: t.string() }), eventTime: 'a' })",
    'MillraceTypeError<"eventTime: \'a\' is not a time; declare it t.time(), or as milliseconds">',
  ],
  ["topic('x', { value: t.object({ a: t.string() }), eventTime: 'b' })", 'MillraceTypeError<"eventTime: the value has no field \'b\'">'],
  [
    "topic('x', { value: t.object({ a: t.optional(t.time()) }), eventTime: 'a' })",
    'MillraceTypeError<"eventTime: \'a\' may be missing, and every record needs a time">',
  ],
  [
    "topic('x', { value: t.object({ a: t.list(t.string()) }), key: 'a' })",
    'MillraceTypeError<"key: \'a\' is not a text, a number or true/false">',
  ],
]

test('every misuse is refused on its own line, in the words that it should be', () => {
  const body = CASES.map(([code]) => `pipeline('p', (mill) => { const s = mill.from(hits); ${code} })`).join('\n')
  const { printed } = typeCheck('misuse', `${HEAD}${body}\n`)
  const first = HEAD.split('\n').length
  const byLine = new Map<number, string>()
  let line = 0
  for (const text of printed.split('\n')) {
    line = Number(/misuse\.ts\((\d+),/.exec(text)?.[1] ?? line)
    byLine.set(line, `${byLine.get(line) ?? ''}${text}\n`)
  }
  const wrong = CASES.flatMap(([code, says], index) => {
    const said = byLine.get(first + index) ?? 'nothing'
    return said.includes(says) ? [] : [`${code}\nshould say: ${says}\nsays: ${said}`]
  })
  assert.equal(wrong.join('\n'), '')
  assert.equal([...byLine.keys()].filter((at) => at !== 0 && at < first).length, 0, printed)
})
