// Which rates the chart can show: those of topics, or those of the operators of one pipeline.
import type { PlantStatus } from 'millrace/api'
import type { Flow } from './flow.ts'
import { titleOf } from './flow.ts'

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

/** Topics the busiest first; operators in the order of the plan, unless there are too many. */
function topicsOrPlan<T extends { readonly weight: number }>(of: ChartOf, all: readonly T[]): readonly T[] {
  return of === 'operators' && all.length <= SERIES_MAX ? all : all.toSorted((a, b) => b.weight - a.weight)
}

/** What can be drawn. Internal topics are left out. */
export function seriesChoices(status: PlantStatus, pipeline: string, flow: Flow, of: ChartOf): readonly SeriesChoice[] {
  const all =
    of === 'topics'
      ? status.topics
          .filter((topic) => !topic.internal)
          .map(({ name, records }) => ({ key: topicSeries(name), label: name, weight: records }))
      : [...flow.nodes.values()]
          .filter(({ node }) => node.kind !== 'source' && node.kind !== 'table-source' && node.kind !== 'to-topic')
          .map(({ node }) => ({ key: nodeSeries(pipeline, node.name), label: titleOf(node), weight: node.counters.rowsIn }))
  return topicsOrPlan(of, all).slice(0, SERIES_MAX)
}

/** Every rate of a status, by the keys above. */
export function ratesNow(status: PlantStatus, flows: ReadonlyMap<string, Flow>): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const topic of status.topics) values.set(topicSeries(topic.name), status.rates.topics[topic.name] ?? 0)
  for (const [pipeline, flow] of flows)
    for (const { node, rateIn } of flow.nodes.values()) values.set(nodeSeries(pipeline, node.name), rateIn)
  return values
}
