import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TaskStatus } from '@millrace/core/engine'
import { SamplePlant } from '../../dev/sample-plant.ts'
import { clocksOfTask, discardOutcome, distance, freshnessMs, isWaiting, phaseTone, retryOutcome, sentence, shortPlace } from './reasons.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const [pipeline] = new SamplePlant({ seed: 1, nowMs: NOW_MS }).status().pipelines
assert.ok(pipeline)

type Partition = TaskStatus['inputs'][number]['partitions'][number]

function partition(number: number, status: string, watermarkMs: number): Partition {
  return { partition: number, next: 0, largestMs: watermarkMs, watermarkMs, status, silentMs: 0, error: null }
}

function reader(partitions: readonly Partition[]): TaskStatus {
  const [task] = pipeline?.tasks ?? []
  assert.ok(task)
  return { ...task, inputs: [{ input: 'in', kind: 'source', lag: 0, partitions, producers: [] }] }
}

describe('what holds a window open', () => {
  test('the slowest active clock, even when an idle one is further behind', () => {
    const clocks = clocksOfTask(
      reader([partition(0, 'active', 500), partition(1, 'idle', 100), partition(2, 'active', 300), partition(3, 'ended', Infinity)]),
    )
    assert.deepEqual(
      clocks.filter((clock) => clock.holds).map((clock) => clock.name),
      ['in · partition 2'],
    )
    assert.equal(clocks[0]?.name, 'in · partition 2')
  })

  test('when all are idle, the one that is furthest', () => {
    const clocks = clocksOfTask(reader([partition(0, 'idle', 500), partition(1, 'idle', 100)]))
    assert.deepEqual(
      clocks.map((clock) => [clock.name, clock.holds]),
      [
        ['in · partition 0', true],
        ['in · partition 1', false],
      ],
    )
  })

  test('behind an exchange the clocks are those of its producers', () => {
    const waiting = pipeline.tasks.filter(isWaiting)
    assert.deepEqual(
      waiting.map((task) => task.part),
      ['per-hour', 'per-hour'],
    )
    assert.deepEqual(
      waiting.flatMap(clocksOfTask).map((clock) => clock.producer),
      ['ingest/1', 'ingest/0', 'ingest/1', 'ingest/0'],
    )
  })

  test('the distance is said in event time', () => {
    const [clock] = clocksOfTask(reader([partition(0, 'active', NOW_MS)]))
    assert.ok(clock)
    assert.equal(distance(clock, NOW_MS + 3_600_000), '1 h to go')
    assert.equal(distance(clock, NOW_MS), 'has passed it')
    assert.equal(distance({ ...clock, watermarkMs: Number.NEGATIVE_INFINITY }, NOW_MS), 'has not said a time yet')
    assert.equal(distance({ ...clock, status: 'ended' }, NOW_MS), 'has ended')
    assert.equal(distance(clock, Infinity), 'is at 2026-01-01 00:00:00')
  })
})

describe('words', () => {
  test('a reason becomes a sentence', () => {
    assert.equal(sentence('waits for the watermark'), 'Waits for the watermark.')
    assert.equal(sentence(' It is so! '), 'It is so!')
    assert.equal(sentence(''), '')
  })

  test('freshness counts from the newest commit', () => {
    const tasks = pipeline.tasks.map((task, index) => ({ ...task, lastCommitAtMs: index === 1 ? NOW_MS - 40 : 5 }))
    assert.equal(freshnessMs({ ...pipeline, tasks }, NOW_MS), 40)
    assert.equal(freshnessMs({ ...pipeline, tasks: [] }, NOW_MS), null)
  })

  test('trouble has its tone', () => {
    assert.deepEqual((['running', 'paused', 'crashed', 'failed', 'stopped', 'degraded', 'finished'] as const).map(phaseTone), [
      'good',
      'warning',
      'warning',
      'bad',
      'calm',
      'warning',
      'calm',
    ])
  })

  test('a retry says what went back in and what stayed, with the reason', () => {
    assert.match(retryOutcome({ moved: 1, refused: [] }), /^1 letter went back in\. What fails again/)
    assert.equal(
      retryOutcome({ moved: 0, refused: [{ reason: 'they are of another plan version', count: 2 }] }),
      'No letter went back in. 2 letters stayed: They are of another plan version.',
    )
  })

  test('discarding says where the letters are', () => {
    assert.match(discardOutcome({ discarded: 2 }), /^2 letters discarded: kept on the dead-letter topic/)
  })

  test('a long place is shortened at its front', () => {
    assert.equal(shortPlace('examples/flights/pipeline.ts:16'), 'examples/flights/pipeline.ts:16')
    assert.equal(shortPlace('/opt/app/flights/src/pipeline.ts:16:42'), '…/src/pipeline.ts:16:42')
    assert.equal(shortPlace('C:\\app\\src\\pipeline.ts:1'), '…/src/pipeline.ts:1')
  })
})
