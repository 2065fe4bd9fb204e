// Plans where the batches of one request will lie: offsets, segments, positions, inline or by reference. Changes nothing: the plan can be
// dropped when a check fails or the disk is full. Scratch values stand in the partitions and are cleared by `reset`.
import type { BatchHeader } from '../../codec/record-batch.ts'
import { MillraceError } from '../../base/errors.ts'
import type { LogPart } from '../log.ts'
import { readPart } from '../part.ts'
import { readBatchHeader } from '../../codec/record-batch.ts'
import type { Journal } from './journal.ts'
import type { PartitionState } from './partition.ts'
import type { Segment } from './segment.ts'
import type { LogState, TopicState } from './state.ts'

/** A segment is rolled when its first batch is older than this share of the retention, so that old data leaves in steps of it. */
const ROLL_SHARE_OF_RETENTION = 1 / 8
/**
 * A growing segment costs a sync of its own with every entry. It pays from about four batches of `referenceBytes` in one entry on: below
 * that the bytes are cheaper to write twice (measured, ADR 0003).
 */
const REFERENCE_ENTRY_FACTOR = 4
/** Compaction works on closed segments only: those of compacted topics are smaller, so that it starts earlier. */
const COMPACTED_SEGMENT_SHARE = 1 / 4

export interface PlannedBatch {
  readonly partition: PartitionState
  readonly bytes: Uint8Array
  readonly at: number
  readonly header: BatchHeader
  readonly firstOffset: number
  readonly segment: Segment
  readonly position: number
  byReference: boolean
}

export interface Plan {
  readonly batches: readonly PlannedBatch[]
  readonly inlineBytes: number
  /** Of each part. */
  readonly firstOffsets: readonly number[]
}

export class Placement {
  readonly #state: LogState
  readonly #segmentBytes: number
  readonly #referenceBytes: number
  readonly #planned: PartitionState[] = []
  /** Bytes of the newest entry, in and out of the journal: what the next one is expected to take. */
  entryBytesBefore = 0

  constructor(state: LogState, segmentBytes: number, referenceBytes: number) {
    this.#state = state
    this.#segmentBytes = segmentBytes
    this.#referenceBytes = referenceBytes
  }

  /**
   * The plan of a request. Batches of idempotent producers that were appended before are left out.
   * @throws {MillraceError} what readPart and Producers.find throw, MR_TOPIC_UNKNOWN, MR_PARTITION_UNKNOWN, MR_LOG_BATCH_INVALID for too many batches.
   */
  plan(parts: readonly LogPart[], nowMs: number, journal: Journal): Plan {
    const batches: PlannedBatch[] = []
    const firstOffsets: number[] = []
    let topic: TopicState | null = null
    for (const part of parts) {
      // Most parts of a commit are of the topic of the part before.
      if (topic === null || topic.topic.name !== part.topic) topic = this.#state.topicOf(part.topic)
      const partition = topic.partitions[part.partition] ?? this.#state.partitionOf(part.topic, part.partition)
      const { retentionMs, compacted } = topic.topic.settings
      const segmentBytes = compacted ? this.#segmentBytes * COMPACTED_SEGMENT_SHARE : this.#segmentBytes
      const rollMs = retentionMs === null ? Infinity : retentionMs * ROLL_SHARE_OF_RETENTION
      let at = 0
      for (const header of readPart(part, topic.topic.settings)) {
        const repeat = header.producerId < 0 ? null : this.#repeatOf(partition, header, batches)
        if (repeat === null) batches.push(this.#next(partition, part.batch, at, header, nowMs, segmentBytes, rollMs))
        if (at === 0) firstOffsets.push(repeat ?? (batches.at(-1) as PlannedBatch).firstOffset)
        at += header.byteLength
      }
    }
    return { batches, inlineBytes: this.#chooseReferences(batches, journal), firstOffsets }
  }

  /** The plan of a batch that the log writes for itself. */
  planOwn(partition: PartitionState, bytes: Uint8Array, nowMs: number): Plan {
    const batch = this.#next(partition, bytes, 0, readBatchHeader(bytes, 0), nowMs, this.#segmentBytes, Infinity)
    return { batches: [batch], inlineBytes: bytes.length, firstOffsets: [batch.firstOffset] }
  }

  reset(): void {
    for (const partition of this.#planned) {
      partition.planned = false
      partition.planSegment = null
    }
    this.#planned.length = 0
  }

  #next(
    partition: PartitionState,
    bytes: Uint8Array,
    at: number,
    header: BatchHeader,
    nowMs: number,
    segmentBytes: number,
    rollMs: number,
  ): PlannedBatch {
    if (!partition.planned) {
      partition.planned = true
      partition.planEnd = partition.acceptedEnd
      partition.planSegment = partition.active
      partition.planSize = partition.active?.size ?? 0
      this.#planned.push(partition)
    }
    let segment = partition.planSegment
    if (segment === null || partition.planSize + header.byteLength > segmentBytes || nowMs - segment.firstAppendMs > rollMs) {
      segment = partition.planSegment = partition.newSegment(partition.planEnd, nowMs)
      partition.planSize = 0
    }
    const planned: PlannedBatch = {
      partition,
      bytes,
      at,
      header,
      firstOffset: partition.planEnd,
      segment,
      position: partition.planSize,
      byReference: this.#goesByReference(header.byteLength),
    }
    partition.planEnd += header.lastOffset - header.baseOffset + 1
    partition.planSize += header.byteLength
    return planned
  }

  #goesByReference(bytes: number): boolean {
    return bytes >= this.#referenceBytes && Math.max(bytes, this.entryBytesBefore) >= this.#referenceBytes * REFERENCE_ENTRY_FACTOR
  }

  #repeatOf(partition: PartitionState, header: BatchHeader, batches: readonly PlannedBatch[]): number | null {
    // A batch that continues one of the same request is new: its predecessor is not in the producer's memory yet.
    for (let index = batches.length - 1; index >= 0; index--) {
      const before = batches[index] as PlannedBatch
      if (
        before.partition !== partition ||
        before.header.producerId !== header.producerId ||
        before.header.producerEpoch !== header.producerEpoch
      )
        continue
      if (header.baseSequence === (before.header.baseSequence + before.header.recordCount) % 2 ** 31) return null
      break
    }
    return partition.producers.find(header)
  }

  /** Decides which batches go by reference; returns the bytes of the others. A request that would fill a quarter of the smaller half goes by reference as a whole. */
  #chooseReferences(batches: readonly PlannedBatch[], journal: Journal): number {
    let inline = 0
    for (const batch of batches) if (!batch.byReference) inline += batch.header.byteLength
    if (inline > journal.smallestHalfBytes / 4) {
      for (const batch of batches) batch.byReference = true
      inline = 0
    }
    if (!journal.canHold(inline, batches.length + 2, 0)) {
      throw new MillraceError('MR_LOG_BATCH_INVALID', { message: 'one request has too many batches', details: { batches: batches.length } })
    }
    return inline
  }
}
