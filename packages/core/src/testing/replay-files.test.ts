// Where the sinks of a replay write: beside the live ones, where two may not write to one place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect, ndjson, ndjsonFile } from '../connect/index.ts'
import type { AnySink, Sink } from '../connect/sink.ts'
import { pipeline, t, topic } from '../index.ts'
import { replayPlan } from '../runtime/replay.ts'

type HitSink = Sink<{ readonly id: number }>

function sinksOfReplay(...sinks: readonly HitSink[]): readonly AnySink[] {
  const { plan } = pipeline('p', (mill) => {
    const hits = mill.from(topic('hits', { value: t.object({ id: t.i32() }) }))
    for (const [index, sink] of sinks.entries()) hits.to(sink, { name: `sink-${index}` })
  })
  return replayPlan(plan, 'r1', true).nodes.flatMap((node) => (node.kind === 'to-sink' ? [node.sink] : []))
}

test('a file that one pipeline may write gets a name of its own; other sinks stay as they are', () => {
  const others: readonly HitSink[] = [ndjson({ dir: '/out' }), collect()]
  const [first, second, ...rest] = sinksOfReplay(ndjsonFile({ path: '/out/hits.ndjson' }), ndjsonFile({ path: '/out.d/hits' }), ...others)
  assert.equal(first?.settings['path'], '/out/hits.replay-r1.ndjson')
  assert.equal(second?.settings['path'], '/out.d/hits.replay-r1')
  assert.ok(rest.length === 2 && rest.every((sink, index) => sink === others[index]))
})
