// Moves the visible ends of partitions when the entry that holds their batches is durable, and wakes whoever waits for them.
//
// Who is woken may append, or open a writer, at once. So nobody is woken while the intake is between looking at the state and changing it:
// the ends move then, and the calls follow when it is done (`hold`, `release`).
import type { PartitionState } from './partition.ts'
import type { LogState } from './state.ts'

export class VisibleEnds {
  readonly #state: LogState
  /** Partitions with batches in the open entry. */
  #touched: PartitionState[] = []
  /** Those whose ends have moved without a word. */
  #untold: PartitionState[] = []
  #held = false

  constructor(state: LogState) {
    this.#state = state
  }

  /** The open entry holds a batch of the partition. */
  touch(partition: PartitionState): void {
    partition.inOpenEntry = true
    this.#touched.push(partition)
  }

  /** The entry is durable. */
  publish(): void {
    const touched = this.#touched
    this.#touched = []
    for (const partition of touched) {
      partition.inOpenEntry = false
      partition.end = partition.acceptedEnd
    }
    if (this.#held) for (const partition of touched) this.#untold.push(partition)
    else this.#tell(touched)
  }

  /** From here on nobody is woken. */
  hold(): void {
    this.#held = true
  }

  /** Wakes those for whom something has become visible meanwhile. */
  release(): void {
    this.#held = false
    if (this.#untold.length === 0) return
    const untold = this.#untold
    this.#untold = []
    this.#tell(untold)
  }

  #tell(partitions: readonly PartitionState[]): void {
    let topic = ''
    let notified: Set<string> | null = null
    for (const partition of partitions) {
      if (partition.waiters.size > 0) for (const wake of partition.waiters) wake()
      if (partition.topic === topic) continue
      topic = partition.topic
      const listeners = this.#state.topics.get(topic)?.listeners
      if (!listeners || listeners.size === 0 || notified?.has(topic)) continue
      notified ??= new Set()
      notified.add(topic)
      for (const notify of listeners) notify()
    }
  }
}
