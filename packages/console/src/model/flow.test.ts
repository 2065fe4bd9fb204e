import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PlantStatus } from 'millrace/api'
import type { PipelineStatus } from '@millrace/core/engine'
import { SamplePlant } from '../../dev/sample-plant.ts'
import type { Flow } from './flow.ts'
import { flowOf, minWatermark } from './flow.ts'
import { nodeKey, RateMeter } from './rates.ts'
import { ratesNow, seriesChoices, topicSeries } from './series.ts'

const START_MS = Date.UTC(2026, 0, 1)

function pipelineOf(status: PlantStatus): PipelineStatus {
  const [pipeline] = status.pipelines
  assert.ok(pipeline)
  return pipeline
}

function plantAfter(seconds: number): { readonly status: PlantStatus; readonly flow: Flow; readonly meter: RateMeter } {
  const plant = new SamplePlant({ seed: 1, nowMs: START_MS })
  const meter = new RateMeter()
  for (let second = 1; second < seconds; second++) {
    plant.step(START_MS + second * 1000)
    meter.take(plant.status())
  }
  plant.step(START_MS + seconds * 1000)
  const status = plant.status()
  return { status, flow: flowOf(status, pipelineOf(status), meter.take(status)), meter }
}

function edgeBetween(flow: Flow, from: string, to: string): Flow['edges'][number] {
  const idOf = (name: string): number | undefined => [...flow.nodes.values()].find((each) => each.node.name === name)?.node.id
  const edge = flow.edges.find((each) => each.from === idOf(from) && each.to === idOf(to))
  assert.ok(edge, `${from} -> ${to}`)
  return edge
}

describe('flow', () => {
  test('there is one edge for each input of each node', () => {
    const { status, flow } = plantAfter(3)
    const inputs = pipelineOf(status).nodes.flatMap((node) => node.inputs.map((input) => `${input}-${node.id}`))
    assert.deepEqual(
      flow.edges.map((edge) => edge.id),
      inputs,
    )
  })

  test('a source has the rate of its topic, an operator that of its counters', () => {
    const { status, flow } = plantAfter(10)
    assert.equal(flow.nodes.get(0)?.rateOut, status.rates.topics['departures'])
    const clean = flow.nodes.get(1)
    assert.ok(clean !== undefined && clean.rateIn > 500 && clean.rateOut < clean.rateIn)
    assert.equal(edgeBetween(flow, 'clean', 'once').rate, flow.nodes.get(2)?.rateIn)
  })

  test('lag stands where rows wait in the log, and nowhere else', () => {
    const { status, flow } = plantAfter(3)
    const tasks = pipelineOf(status).tasks
    const lagOf = (part: string): number =>
      tasks.filter((task) => task.part === part).reduce((sum, task) => sum + (task.inputs[0]?.lag ?? 0), 0)
    assert.equal(edgeBetween(flow, 'departures', 'clean').lag, lagOf('ingest'))
    assert.equal(edgeBetween(flow, 'with-airport', 'per-hour').lag, lagOf('per-hour'))
    assert.equal(edgeBetween(flow, 'with-airport', 'archive').lag, lagOf('archive'))
    assert.equal(edgeBetween(flow, 'clean', 'once').lag, null)
    assert.equal(edgeBetween(flow, 'airports', 'with-airport').lag, null)
  })

  test('the watermark of a source is that of its slowest partition', () => {
    const { status, flow } = plantAfter(3)
    const partitions = pipelineOf(status).tasks.flatMap((task) => task.inputs.flatMap((input) => input.partitions))
    assert.equal(edgeBetween(flow, 'departures', 'clean').watermarkMs, Math.min(...partitions.map((each) => each.watermarkMs)))
    assert.equal(minWatermark([]), Number.NEGATIVE_INFINITY)
  })

  test('a task in trouble marks its nodes', () => {
    const { status, meter } = plantAfter(3)
    const whole = pipelineOf(status)
    const broken = { ...whole, tasks: whole.tasks.map((task) => (task.part === 'archive' ? { ...task, phase: 'paused' as const } : task)) }
    const flow = flowOf(status, broken, meter.take(status))
    const marked = [...flow.nodes.values()].filter((each) => each.trouble !== null).map((each) => each.node.name)
    assert.deepEqual(marked, ['archive'])
  })
})

describe('rates', () => {
  test('counters that start over count as no progress, not as a negative rate', () => {
    const { status, meter } = plantAfter(6)
    const pipeline = pipelineOf(status)
    const nodes = pipeline.nodes.map((node) => ({ ...node, counters: { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 } }))
    const rates = meter.take({ ...status, nowMs: status.nowMs + 1000, pipelines: [{ ...pipeline, nodes }] })
    for (const rate of rates.values()) assert.deepEqual(rate, { in: 0, out: 0 })
  })

  test('the first status of all takes the figures of the server', () => {
    const status = new SamplePlant({ seed: 1, nowMs: START_MS }).status()
    assert.equal(new RateMeter().take(status).get(nodeKey('flights', 'clean'))?.in, status.rates.nodes['clean'])
  })

  test('the chart offers topics that users know, and operators with counters', () => {
    const { status, flow } = plantAfter(3)
    const internal = {
      ...status,
      topics: [...status.topics, { ...status.topics[0], name: '__flights.x', internal: true } as PlantStatus['topics'][number]],
    }
    assert.ok(!seriesChoices(internal, 'flights', flow, 'topics').some((choice) => choice.label.startsWith('__')))
    assert.ok(seriesChoices(status, 'flights', flow, 'operators').some((choice) => choice.label === 'clean'))
    assert.equal(ratesNow(status, new Map([['flights', flow]])).get(topicSeries('departures')), status.rates.topics['departures'])
  })
})
