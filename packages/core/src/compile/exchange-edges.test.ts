// Edges of a sub-topology: exchanges with carried keys, retractions, late rows, dead letters on their way back.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Batch } from '../codec/column.ts'
import { count, custom, expr, pipeline, sum, t, topic, tumbling } from '../index.ts'
import type { Plan } from '../plan/node.ts'
import { must } from '../base/assert.ts'
import { batchOf, plainOf, Runner, type Row } from './harness.fixture.ts'

const schema = t.object({ id: t.i64(), s: t.string(), n: t.i64() })
const input = topic('input', { value: schema, partitions: 4 })
const out = topic('out', { value: t.object({ n: t.i64() }), compacted: true })

const rows: readonly Row[] = [
  { id: 1, s: 'a', n: 1 },
  { id: 2, s: 'b', n: 2 },
  { id: 1, s: 'a', n: 3 },
  { id: 3, s: 'c', n: 4 },
]
const batch = batchOf(input.fields, rows, { times: [1, 2, 3, 4] })

/** Runs the part that reads the source, carries what it emits over the exchange, and runs the part behind it. */
function overExchange(
  plan: Plan,
  from: Batch = batch,
): { readonly writer: Runner; readonly reader: Runner; readonly carried: readonly unknown[] } {
  const writer = new Runner(plan, { partitions: 4, keepBatches: true })
  writer.tick(0, (process) => process(0, from))
  const reader = new Runner(plan, {
    partitions: 4,
    part: writer.parts.findIndex((part) => part.inputs.some((each) => each.kind === 'exchange')),
  })
  const [spec] = reader.part.inputs
  assert(spec?.kind === 'exchange')
  reader.tick(0, (process) => {
    for (const each of writer.batches) process(0, spec.open ? { ...each, values: columnValues(each) } : each)
  })
  return { writer, reader, carried: writer.emitted.map((each) => each.row) }
}

function columnValues(each: Batch): readonly unknown[] {
  const [first] = each.columns
  assert(first?.layout === 'variant')
  return first.values
}

const emitted = (runner: Runner): readonly unknown[] => plainOf(runner.emitted).map((each) => each.row)

describe('an exchange', () => {
  test('carries the columns that are needed, with the key', () => {
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .groupBy('s')
        .aggregate({ n: sum('n') }, { name: 'by-s' })
        .to(out)
    })
    const { reader, carried } = overExchange(plan)
    assert.deepEqual(carried[0], { s: 'a', n: 1 })
    assert.deepEqual(emitted(reader), [
      { s: 'a', n: 4 },
      { s: 'b', n: 2 },
      { s: 'c', n: 4 },
    ])
  })

  test('carries the key of a lambda', () => {
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .groupBy((each) => each.id % 2 === 1)
        .aggregate({ n: count() }, { name: 'by-parity' })
        .to(out)
    })
    const { reader, carried } = overExchange(plan)
    assert.equal((carried[0] as Row)['$key'], true)
    assert.deepEqual(emitted(reader), [
      { key: true, n: 3 },
      { key: false, n: 1 },
    ])
  })

  test('carries open rows as values, with the properties that are their key', () => {
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .map((each) => ({ s: each.s, deep: { n: each.n } }))
        .groupBy('s')
        .aggregate(
          { total: custom({ initial: () => 0, add: (state: number, each: { deep: { n: number } }) => state + each.deep.n }), n: count() },
          { name: 'by-s' },
        )
        .to(out)
    })
    const { reader, carried } = overExchange(plan)
    assert.deepEqual(carried[0], { $value: { s: 'a', deep: { n: 1 } }, s: 'a' })
    assert.deepEqual(emitted(reader), [
      { s: 'a', total: 4, n: 2 },
      { s: 'b', total: 2, n: 1 },
      { s: 'c', total: 4, n: 1 },
    ])
  })

  test('a row whose key cannot be made is refused where it stands, and can enter there again', () => {
    let fails = true
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .groupBy((each) => {
          if (fails && each.id === 2) throw new Error('no key')
          return each.id
        })
        .aggregate({ n: count() }, { name: 'by-id' })
        .to(out)
    })
    const { writer } = overExchange(plan)
    assert.deepEqual(
      writer.letters.map((letter) => [letter.operator, letter.row]),
      [['by-id', rows[1]]],
    )
    fails = false
    writer.emitted.length = 0
    writer.tick(0, () => assert.equal(writer.instance.enter('by-id', 0, batchOf(input.fields, [must(rows[1], 'row')])), true))
    assert.deepEqual(
      emitted(writer).map((each) => (each as Row)['$key']),
      [2],
    )
  })
})

describe('updates', () => {
  const counted = (filtered: boolean): Plan =>
    pipeline('p', (mill) => {
      const groups = mill
        .from(input)
        .groupBy('s')
        .aggregate({ n: sum('n') }, { name: 'by-s' })
      if (filtered)
        groups
          .filter(
            expr((each) => each.n.lt(4)),
            { name: 'small' },
          )
          .toTable('sums')
      else groups.select('s', 'n').toTable('sums')
    }).plan

  test('behind a filter the old row leaves the table when the new one is stopped', () => {
    const runner = new Runner(counted(true))
    runner.tick(0, (process) => process(0, batchOf(input.fields, rows.slice(0, 2))))
    assert.deepEqual(runner.rows('table.sums'), [
      { s: 'a', n: 1 },
      { s: 'b', n: 2 },
    ])
    runner.tick(0, (process) => process(0, batchOf(input.fields, rows.slice(2))))
    assert.deepEqual(runner.rows('table.sums'), [{ s: 'b', n: 2 }])
  })

  test('where the key goes through, new rows alone are upserts', () => {
    const runner = new Runner(counted(false))
    runner.tick(0, (process) => process(0, batch))
    runner.tick(0, (process) => process(0, batch))
    const status = runner.instance.operators.find((each) => each.name === 'by-s')
    assert.equal(status?.counters.rowsOut, 6)
    assert.deepEqual(runner.rows('table.sums').length, 3)
  })
})

describe('late rows', () => {
  test('go to the late output, unchanged', () => {
    const late = topic('late', { value: schema })
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .groupBy('s')
        .window(tumbling({ sizeMs: 2 }))
        .aggregate({ n: count() }, { name: 'by-s', emit: 'close', late: (stream) => stream.to(late) })
        .to(out)
    })
    const runner = new Runner(plan)
    runner.tick(4, () => {})
    runner.tick(4, (process) => process(0, batch))
    const at = runner.part.outputs.findIndex((each) => each.kind === 'topic' && each.topic.name === 'late')
    assert.deepEqual(
      plainOf(runner.emitted.filter((each) => each.output === at)).map((each) => each.row),
      rows.slice(0, 3),
    )
    assert.deepEqual(runner.letters, [])
    assert.equal(runner.instance.operators.find((each) => each.name === 'by-s')?.counters.rowsLate, 3)
  })
})

describe('a row that user code refuses', () => {
  test('is in no aggregate, and makes no group', () => {
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .groupBy('id')
        .aggregate(
          {
            n: count(),
            odd: custom({
              initial: () => ({ total: 0 }),
              add: (state: { total: number }, each: { n: number }) => {
                state.total += each.n
                if (each.n % 2 === 0) throw new Error('even')
                return state
              },
              result: (state) => state.total,
            }),
          },
          { name: 'odd' },
        )
        .to(out)
    })
    const runner = new Runner(plan)
    runner.tick(0, (process) => process(0, batch))
    assert.deepEqual(emitted(runner), [{ id: 1, n: 2, odd: 4 }])
    assert.equal(runner.stores.get('odd')?.rowCount, 1)
    assert.deepEqual(
      runner.letters.map((letter) => letter.row),
      [rows[1], rows[3]],
    )
  })

  test('comes back as JSON and gets its columns', () => {
    const { plan } = pipeline('p', (mill) => {
      mill
        .from(input)
        .filter((each) => each.n > 0, { name: 'positive' })
        .to(topic('rows', { value: t.object({ n: t.i64() }) }))
    })
    const runner = new Runner(plan)
    runner.tick(0, () => assert.equal(runner.instance.enter('positive', 0, batchOf(null, [{ id: 7, s: 'x', n: 1 }])), true))
    runner.tick(0, () => assert.equal(runner.instance.enter('positive', 0, batchOf(null, [{ id: 'seven' }])), true))
    assert.deepEqual(emitted(runner), [{ id: 7, s: 'x', n: 1 }])
    assert.equal(runner.letters.length, 1)
    assert.equal(runner.instance.enter('nobody', 0, batch), false)
  })
})
