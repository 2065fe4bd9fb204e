// Which rates the chart can show: those of topics, or those of the operators of one pipeline.
import type { PlantStatus } from 'millrace/api'
import type { Flow } from './flow.ts'

export type ChartOf = 'topics' | 'operators'

/** `t:` topics, `n:` nodes: one history holds both. */
export function topicSeries(name: string): string {
  return `t:${name}`
}

export function nodeSeries(pipeline: string, name: string): string {
  return `n:${pipeline}/${name}`
}

export interface SeriesChoice {
  readonly key: string
  readonly label: string
}

/** Lines beyond this many cannot be told apart. */
export const SERIES_MAX = 8

/** Internal topics are left out; the busiest come first when there are too many. */
export function seriesChoices(status: PlantStatus, pipeline: string, flow: Flow, of: ChartOf): readonly SeriesChoice[] {
  const all =
    of === 'topics'
      ? status.topics
          .filter((topic) => !topic.internal)
          .map(({ name, records }) => ({ key: topicSeries(name), label: name, weight: records }))
      : [...flow.nodes.values()]
          .filter(({ node }) => node.kind !== 'source' && node.kind !== 'table-source' && node.kind !== 'to-topic')
          .map(({ node }) => ({ key: nodeSeries(pipeline, node.name), label: node.name, weight: node.counters.rowsIn }))
  if (all.length <= SERIES_MAX) return all
  return all.toSorted((a, b) => b.weight - a.weight).slice(0, SERIES_MAX)
}

/** Every rate of a status, by the keys above. */
export function ratesNow(status: PlantStatus, flows: ReadonlyMap<string, Flow>): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const topic of status.topics) values.set(topicSeries(topic.name), status.rates.topics[topic.name] ?? 0)
  for (const [pipeline, flow] of flows)
    for (const { node, rateIn } of flow.nodes.values()) values.set(nodeSeries(pipeline, node.name), rateIn)
  return values
}
