// What a partition remembers of its idempotent producers, so that a batch sent twice is appended once (LOG-5).
//
// Per producer: the newest epoch, and its last batches with their first offsets. Sequence numbers count records, are 32 bit and start
// again at 0 after 2^31 - 1. Rules, as in Kafka (KIP-98, KIP-360):
//   older epoch -> fenced; newer epoch -> starts at sequence 0; a remembered batch -> repeat; the next sequence -> new; anything else -> gap.
//   A producer that is not remembered may start anywhere: its memory was dropped because it was silent for long.
import { MillraceError } from '../base/errors.ts'
import type { BatchHeader } from '../codec/record-batch.ts'

/** Batches remembered per producer: more than a producer has in flight. */
export const PRODUCER_BATCHES_MAX = 16
/** Producers remembered per partition; the one that was silent longest is forgotten. */
export const PRODUCERS_MAX = 10_000
const SEQUENCE_COUNT = 2 ** 31

export interface ProducerBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly firstOffset: number
}

/** As plain data, for snapshots of the log's state. */
export interface ProducerImage {
  readonly producerId: number
  readonly epoch: number
  readonly batches: readonly ProducerBatch[]
}

export class Producers {
  /** In order of last use, oldest first. */
  readonly #byId = new Map<number, { epoch: number; batches: ProducerBatch[] }>()

  static restore(images: readonly ProducerImage[]): Producers {
    const producers = new Producers()
    for (const { producerId, epoch, batches } of images) producers.#byId.set(producerId, { epoch, batches: [...batches] })
    return producers
  }

  image(): readonly ProducerImage[] {
    return Array.from(this.#byId, ([producerId, { epoch, batches }]) => ({ producerId, epoch, batches: [...batches] }))
  }

  /**
   * The first offset of a batch that was appended before, or null for a new one. Changes nothing.
   * @throws {MillraceError} `MR_LOG_FENCED` for an older epoch, `MR_LOG_SEQUENCE_GAP` when numbers were skipped or are no longer remembered.
   */
  find(header: BatchHeader): number | null {
    const { producerId, producerEpoch, baseSequence } = header
    if (producerId < 0) return null
    const known = this.#byId.get(producerId)
    if (known === undefined) return null
    if (producerEpoch < known.epoch) {
      throw new MillraceError('MR_LOG_FENCED', {
        message: 'a newer epoch of this producer has appended',
        details: { producerId, epoch: producerEpoch, newest: known.epoch },
      })
    }
    if (producerEpoch > known.epoch) {
      if (baseSequence === 0) return null
      throw gap(header, 0)
    }
    const last = lastSequence(header)
    const same = known.batches.find((batch) => batch.firstSequence === baseSequence && batch.lastSequence === last)
    if (same !== undefined) return same.firstOffset
    const newest = known.batches.at(-1)
    const expected = newest === undefined ? 0 : (newest.lastSequence + 1) % SEQUENCE_COUNT
    if (baseSequence !== expected) throw gap(header, expected)
    return null
  }

  /** Notes a batch that `find` called new and that was appended at `firstOffset`. */
  add(header: BatchHeader, firstOffset: number): void {
    const { producerId, producerEpoch, baseSequence } = header
    if (producerId < 0) return
    const known = this.#byId.get(producerId)
    const batches = known !== undefined && known.epoch === producerEpoch ? known.batches : []
    batches.push({ firstSequence: baseSequence, lastSequence: lastSequence(header), firstOffset })
    if (batches.length > PRODUCER_BATCHES_MAX) batches.shift()
    // Taking it out first moves it to the end of the map: the front is who was silent longest.
    this.#byId.delete(producerId)
    this.#byId.set(producerId, { epoch: producerEpoch, batches })
    if (this.#byId.size <= PRODUCERS_MAX) return
    for (const silent of this.#byId.keys()) {
      this.#byId.delete(silent)
      break
    }
  }
}

/** Checks the batches of one request, which may follow each other and are not added before all of them are checked. */
export class ProducerSequence {
  readonly #newest = new Map<Producers, Map<number, BatchHeader>>()

  /** As `Producers.find`, with the earlier new batches of this request taken as appended. */
  find(producers: Producers, header: BatchHeader): number | null {
    if (header.producerId < 0) return null
    const newest = this.#newest.get(producers) ?? new Map<number, BatchHeader>()
    const before = newest.get(header.producerId)
    if (before !== undefined && before.producerEpoch === header.producerEpoch) {
      const expected = (lastSequence(before) + 1) % SEQUENCE_COUNT
      if (header.baseSequence !== expected) throw gap(header, expected)
    } else {
      const known = producers.find(header)
      if (known !== null) return known
    }
    newest.set(header.producerId, header)
    this.#newest.set(producers, newest)
    return null
  }
}

function lastSequence(header: BatchHeader): number {
  return (header.baseSequence + header.recordCount - 1) % SEQUENCE_COUNT
}

function gap(header: BatchHeader, expected: number): MillraceError {
  return new MillraceError('MR_LOG_SEQUENCE_GAP', {
    details: { producerId: header.producerId, epoch: header.producerEpoch, sequence: header.baseSequence, expected },
  })
}
