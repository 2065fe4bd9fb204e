// What the page draws at one moment: the status, what it says about each pipeline's flow, and the history of rates.
import type { PlantStatus } from 'millrace/api'
import type { Connection, PlantFeed } from '../feed/plant-feed.ts'
import type { Flow } from './flow.ts'
import { flowOf } from './flow.ts'
import { History } from './history.ts'
import { RateMeter } from './rates.ts'
import { ratesNow } from './series.ts'

export interface PlantView {
  readonly connection: Connection
  readonly status: PlantStatus | null
  /** By pipeline. */
  readonly flows: ReadonlyMap<string, Flow>
}

/** Derives a view from each new status, once, however many components read it. */
export class PlantViews {
  readonly history = new History()
  readonly #feed: PlantFeed
  readonly #meter = new RateMeter()
  #view: PlantView

  constructor(feed: PlantFeed) {
    this.#feed = feed
    this.#view = { connection: feed.snapshot().connection, status: null, flows: new Map() }
  }

  readonly subscribe = (reader: () => void): (() => void) => this.#feed.subscribe(reader)

  /** The same object as long as the feed has nothing new. */
  readonly view = (): PlantView => {
    const { connection, status } = this.#feed.snapshot()
    if (status === this.#view.status) {
      if (connection !== this.#view.connection) this.#view = { ...this.#view, connection }
      return this.#view
    }
    this.#view = { connection, status, flows: status === null ? new Map() : this.#flows(status) }
    return this.#view
  }

  #flows(status: PlantStatus): ReadonlyMap<string, Flow> {
    const rates = this.#meter.take(status)
    const flows = new Map(status.pipelines.map((pipeline) => [pipeline.pipeline, flowOf(status, pipeline, rates)]))
    this.history.take(status.nowMs, ratesNow(status, flows))
    return flows
  }
}
