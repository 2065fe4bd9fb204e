// What one producer has brought in one partition and is not applied yet: ticks, running numbers and offsets all ascend.

/** A record batch by its head; the bytes are held or read again when they are needed. */
export interface GatheredBatch {
  readonly tick: number
  readonly running: number
  readonly offset: number
  readonly length: number
  bytes: Uint8Array | null
}

/** So many places at the front are left empty before the rest moves up. */
const EMPTY_MAX = 1024

export class BatchQueue {
  #batches: GatheredBatch[] = []
  #head = 0

  get first(): GatheredBatch | null {
    return this.#batches[this.#head] ?? null
  }

  push(batch: GatheredBatch): void {
    this.#batches.push(batch)
  }

  dropFirst(): void {
    this.#head++
    // Only when at least half is empty: each batch is moved once on average.
    const isSparse = this.#head >= EMPTY_MAX && this.#head * 2 >= this.#batches.length
    if (this.#head < this.#batches.length && !isSparse) return
    this.#batches = this.#batches.slice(this.#head)
    this.#head = 0
  }

  /** The batches of ticks up to and including `tick`. */
  upTo(tick: number): readonly GatheredBatch[] {
    let end = this.#head
    while (end < this.#batches.length && (this.#batches[end] as GatheredBatch).tick <= tick) end++
    return this.#batches.slice(this.#head, end)
  }

  /** The batch that begins at `offset`; null when it is not here. */
  at(offset: number): GatheredBatch | null {
    let low = this.#head
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle] as GatheredBatch).offset < offset) low = middle + 1
      else high = middle
    }
    const found = this.#batches[low]
    return found !== undefined && found.offset === offset ? found : null
  }
}
