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
