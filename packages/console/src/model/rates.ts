// Rates of each plan node, from the counters of successive statuses. Counters start over when a task restarts: a fall counts as no progress.
import type { PlantStatus } from 'millrace/api'
import type { PipelineStatus } from '@millrace/core/engine'

export interface NodeRate {
  readonly in: number
  readonly out: number
}

interface Sample {
  readonly atMs: number
  readonly nodes: ReadonlyMap<string, { readonly in: number; readonly out: number }>
}

/** Rates are means over this many milliseconds: long enough to be calm, short enough to follow. */
const SPAN_MS = 5000

/** Node names are unique in a pipeline only. */
export function nodeKey(pipeline: string, node: string): string {
  return `${pipeline}/${node}`
}

function sampleOf(status: PlantStatus): Sample {
  const nodes = new Map<string, { in: number; out: number }>()
  for (const pipeline of status.pipelines) {
    for (const node of pipeline.nodes)
      nodes.set(nodeKey(pipeline.pipeline, node.name), { in: node.counters.rowsIn, out: node.counters.rowsOut })
  }
  return { atMs: status.nowMs, nodes }
}

export class RateMeter {
  #samples: readonly Sample[] = []

  /** Takes a status in and returns the rates by `nodeKey`. The same status twice changes nothing. */
  take(status: PlantStatus): ReadonlyMap<string, NodeRate> {
    const sample = sampleOf(status)
    const newest = this.#samples.at(-1)
    // A clock that goes back means another server: its counters have nothing to do with the old ones.
    if (newest !== undefined && sample.atMs < newest.atMs) this.#samples = []
    if (newest === undefined || sample.atMs !== newest.atMs) this.#samples = [...this.#samples, sample]
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? 0) <= sample.atMs - SPAN_MS) this.#samples = this.#samples.slice(1)
    return this.#rates(status)
  }

  #rates(status: PlantStatus): ReadonlyMap<string, NodeRate> {
    const [oldest] = this.#samples
    const newest = this.#samples.at(-1)
    const rates = new Map<string, NodeRate>()
    for (const pipeline of status.pipelines) {
      for (const node of pipeline.nodes) {
        const key = nodeKey(pipeline.pipeline, node.name)
        const seconds = oldest === undefined || newest === undefined ? 0 : (newest.atMs - oldest.atMs) / 1000
        const before = oldest?.nodes.get(key)
        const counted = before === undefined || seconds === 0 ? undefined : rateBetween(before, node.counters, seconds)
        // Until there are two statuses the server's own figure stands in.
        rates.set(key, counted ?? { in: status.rates.nodes[node.name] ?? 0, out: 0 })
      }
    }
    return rates
  }
}

function rateBetween(
  before: { readonly in: number; readonly out: number },
  now: PipelineStatus['nodes'][number]['counters'],
  seconds: number,
): NodeRate {
  return { in: Math.max(0, now.rowsIn - before.in) / seconds, out: Math.max(0, now.rowsOut - before.out) / seconds }
}
