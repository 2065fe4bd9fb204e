// Who gets rows a second time when state is built again: the outputs that had some.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { t } from '../codec/schema.ts'
import { ndjsonFile } from '../connect/ndjson-file-sink.ts'
import type { Plan } from '../plan/node.ts'
import { outputsOf, rowsAgain } from '../plan/rebuild.ts'
import { serializePlan } from '../plan/serialize.ts'
import { count } from './aggregates.ts'
import { pipeline } from './pipeline.ts'
import { topic } from './topic.ts'

const value = t.object({ url: t.string() })
const hits = topic('hits', { value })

/** A pipeline that writes these topics and files. */
function outputs(topics: readonly string[], sinks: readonly string[]): Plan {
  return pipeline('web', (mill) => {
    const all = mill.from(hits)
    for (const name of topics) all.to(topic(name, { value }))
    for (const name of sinks) all.to(ndjsonFile({ path: name }), { name })
    all.groupBy('url').aggregate({ n: count() }, { name: 'urls' }).toTable('urls')
  }).plan
}

test('an output that the plan before did not have gets its rows for the first time', () => {
  const wanted = outputs(['a', 'b'], ['x', 'y'])
  const sources = ['hits']
  assert.deepEqual(rowsAgain(wanted, null), { topics: ['a', 'b'], sinks: ['x', 'y'], sources })
  assert.deepEqual(rowsAgain(wanted, outputsOf([serializePlan(wanted)])), { topics: ['a', 'b'], sinks: ['x', 'y'], sources })
  assert.deepEqual(rowsAgain(wanted, outputsOf([serializePlan(outputs(['b', 'c'], ['x']))])), { topics: ['b'], sinks: ['x'], sources })
  // The name of one kind of output says nothing of the other.
  assert.deepEqual(rowsAgain(wanted, outputsOf([serializePlan(outputs(['x'], ['a']))])), { topics: [], sinks: [], sources })
  // What an earlier plan had, and the last one had not, has rows all the same.
  const taken = [outputs(['a', 'b'], ['y']), outputs(['b'], [])].map(serializePlan)
  assert.deepEqual(rowsAgain(wanted, outputsOf(taken)), { topics: ['a', 'b'], sinks: ['y'], sources })
})
