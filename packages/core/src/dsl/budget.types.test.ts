// What the types of the API cost the user's compiler. Instantiations are counted by the compiler and do not depend on the machine; a budget
// that has to rise needs a reason in the commit that raises it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { typeCheck } from './type-check.fixture.ts'

const HEAD = `import { count, countDistinct, expr, mean, pipeline, sum, t, topic, tumbling, fileTable } from '@millrace/core'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string(), ip: t.string(), agent: t.string(), status: t.i32(), took: t.optional(t.f64()) }), eventTime: 'at' })
const pages = fileTable({ name: 'pages', path: 'p.csv', format: 'csv', value: t.object({ path: t.string(), title: t.string() }), key: 'path' })
`

/** Ten operators in a row. */
const TEN = (n: number): string => `
  const a${n} = mill.from(hits).filter((row) => row.status < 400).filter(expr((row) => row.took.gt(${n})))
  const b${n} = a${n}.map((row) => ({ ...row, slow: (row.took ?? 0) > 10 }), { value: t.object({ at: t.time(), url: t.string(), ip: t.string(), status: t.i32(), slow: t.bool() }) })
  const c${n} = b${n}.join(mill.table(pages), { on: { url: 'path' }, type: 'left' }).select('url', 'ip', 'status', 'title', { name: 's${n}' })
  c${n}.dedupe({ by: ['url', 'ip'], withinMs: 60_000 }).keyBy('url').mapValues((row) => ({ url: row.url, n: row.status }), { value: t.object({ url: t.string(), n: t.i32() }) })
    .groupBy('url').window(tumbling({ sizeMs: 60_000 })).aggregate({ n: count(), good: count({ where: expr((row) => row.n.lt(400)) }), total: sum('n'), mean: mean('n'), urls: countDistinct('url') }, { name: 'g${n}' })
    .toTable('t${n}')`

function app(tens: number): string {
  return `${HEAD}export default pipeline('p', (mill) => {${Array.from({ length: tens }, (_, n) => TEN(n)).join('\n')}\n})\n`
}

test('an app of 200 operators stays inside its budget', () => {
  const empty = typeCheck('empty', `${HEAD}export default pipeline('p', () => {})\n`)
  const large = typeCheck('large', app(20))
  assert.doesNotMatch(large.printed, /error TS/)
  const perOperator = (large.instantiations - empty.instantiations) / 200
  assert.ok(perOperator < 500, `${perOperator} instantiations per operator (${empty.instantiations} before the first)`)
  assert.ok(large.seconds < 10, `${large.seconds} s`)
})

test('the cost grows with the number of operators, not faster', () => {
  const [small, large] = [typeCheck('small', app(10)), typeCheck('large', app(20))]
  assert.ok(large.instantiations < small.instantiations * 2.2, `${small.instantiations} -> ${large.instantiations}`)
})

/** Most instantiations of one more call of each method, in a pipeline that has used it before. */
const METHODS: Readonly<Record<string, readonly [budget: number, call: string]>> = {
  'from, keyBy and toTable': [60, "mill.from(hits).keyBy('url').toTable('x#')"],
  'filter by lambda': [30, 's.filter((row) => row.status < #)'],
  'filter by expression': [80, 's.filter(expr((row) => row.status.lt(#)))'],
  'map, open': [30, 's.map((row) => ({ url: row.url, n: # }))'],
  'map, typed': [200, 's.map((row) => ({ url: row.url, n: # }), { value: t.object({ url: t.string(), n: t.i32() }) })'],
  'select by name': [120, "s.select('url', 'ip', { name: 'n#' })"],
  'select of columns': [120, "s.select({ link: 'url', x: expr((row) => row.status.plus(#)) })"],
  keyBy: [80, "s.keyBy('url', 'ip')"],
  branch: [100, 's.branch({ a: (row) => row.status < #, b: expr((row) => row.status.gt(#)) })'],
  merge: [60, 's.merge(s)'],
  dedupe: [60, "s.dedupe({ by: 'url', withinMs: 1 })"],
  scan: [120, "s.keyBy('url').scan(() => 0, (state, row) => ({ state: state + row.status, rows: [{ n: state }] }))"],
  join: [150, "s.join(table, { on: { url: 'path' }, type: 'left' })"],
  aggregate: [
    350,
    "s.groupBy('url').window(w).aggregate({ n: count(), bad: count({ where: expr((row) => row.status.gt(#)) }), t: sum('status'), m: mean('took') })",
  ],
}

test('each method stays inside its budget', () => {
  const uses = 10
  const once = Object.values(METHODS).map(([, call]) => call)
  const cost = (calls: readonly string[]): number => {
    const lines = calls.map((call, n) => `  ;(() => ${call.replaceAll('#', String(n))})()`)
    const body = `  const s = mill.from(hits)\n  const table = mill.table(pages)\n${lines.join('\n')}`
    const { printed, instantiations } = typeCheck(
      'method',
      `${HEAD}const w = tumbling({ sizeMs: 1 })\nexport default pipeline('p', (mill) => {\n${body}\n})\n`,
    )
    assert.doesNotMatch(printed, /error TS/)
    return instantiations
  }
  const base = cost(once)
  const over = Object.entries(METHODS).flatMap(([method, [budget, call]]) => {
    const each = (cost([...once, ...Array.from({ length: uses }, () => call)]) - base) / uses
    return each <= budget ? [] : [`${method}: ${each} of ${budget}`]
  })
  assert.deepEqual(over, [])
})
