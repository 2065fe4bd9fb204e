import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SamplePlant } from '../../dev/sample-plant.ts'
import { dueText, sinksOf, waitingText } from './sinks.ts'

const [pipeline] = new SamplePlant({ seed: 1, nowMs: Date.UTC(2026, 0, 1, 0, 1) }).status().pipelines
assert.ok(pipeline)

test('a sink says what waits, and what publishes it when', () => {
  const [sink, ...others] = sinksOf(pipeline)
  assert.ok(sink !== undefined && others.length === 0)
  assert.deepEqual([sink.name, sink.connector, sink.rows], ['archive', 'parquet', 66_000])
  assert.equal(waitingText(sink), '66,000 rows not published yet: 1.3 MiB in 2 open files.')
  assert.equal(dueText(sink), 'Published in 4 min at the latest, earlier when a file reaches 128 MiB.')
})

test('nothing waits, or the sink says nothing of it', () => {
  const tasks = (sink: { readonly rows: number }): typeof pipeline.tasks =>
    pipeline.tasks.map((task) => (task.sink === null ? task : { ...task, sink: { ...sink, unpublished: null } }))
  const [none] = sinksOf({ ...pipeline, tasks: tasks({ rows: 0 }) })
  const [some] = sinksOf({ ...pipeline, tasks: tasks({ rows: 1 }) })
  assert.ok(none && some)
  assert.deepEqual([waitingText(none), dueText(none)], ['Everything that came is published.', ''])
  assert.deepEqual([waitingText(some), dueText(some)], ['1 row not published yet.', ''])
})
