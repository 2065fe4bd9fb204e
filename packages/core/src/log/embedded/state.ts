// The state that entries change: topics, partitions, writers, producers. Deterministic: the same image and the same entries give the same
// state, which is what makes the live log and recovery agree. No file is touched here.
import { MillraceError } from '../../base/errors.ts'
import type { Topic, TopicSettings } from '../log.ts'
import { partitionFolder, REQUESTS_FOLDER, REQUESTS_PARTITION } from './format.ts'
import type { ChainPlace } from './journal.ts'
import type { MetaRecord } from './meta.ts'
import { PartitionState, type PartitionImage } from './partition.ts'

/** The topic's own partitions and those who listen to it. */
export class TopicState {
  topic: Topic
  readonly firstPartition: number
  readonly partitions: readonly PartitionState[]
  readonly listeners: Set<() => void> = new Set()

  constructor(topic: Topic, firstPartition: number, partitions: readonly PartitionState[]) {
    this.topic = topic
    this.firstPartition = firstPartition
    this.partitions = partitions
  }
}

/** All that a checkpoint slot holds. */
export interface StateImage {
  readonly chain: ChainPlace
  readonly timeMs: number
  readonly nextPartition: number
  readonly nextTopic: number
  readonly nextProducerId: number
  readonly topics: readonly {
    readonly name: string
    readonly id: string
    readonly settings: TopicSettings
    readonly firstPartition: number
  }[]
  readonly partitions: readonly PartitionImage[]
  readonly writers: readonly (readonly [string, number])[]
}

export class LogState {
  readonly folder: string
  readonly topics: Map<string, TopicState> = new Map()
  readonly partitions: Map<number, PartitionState> = new Map()
  readonly writers: Map<string, number> = new Map()
  /** Holds request keys; belongs to no topic. */
  requests: PartitionState
  nextPartition = REQUESTS_PARTITION + 1
  nextTopic = 1
  nextProducerId = 1

  constructor(folder: string) {
    this.folder = folder
    this.requests = new PartitionState(REQUESTS_PARTITION, '', 0, `${folder}/${REQUESTS_FOLDER}`)
    this.partitions.set(REQUESTS_PARTITION, this.requests)
  }

  static restore(folder: string, image: StateImage): LogState {
    const state = new LogState(folder)
    state.nextPartition = image.nextPartition
    state.nextTopic = image.nextTopic
    state.nextProducerId = image.nextProducerId
    const images = new Map(image.partitions.map((partition) => [partition.id, partition]))
    for (const { name, id, settings, firstPartition } of image.topics) state.#addTopic({ name, id, settings }, firstPartition, images)
    const requests = images.get(REQUESTS_PARTITION)
    if (requests) {
      state.requests = PartitionState.restore(requests, '', 0, state.requests.folder)
      state.partitions.set(REQUESTS_PARTITION, state.requests)
    }
    for (const [name, epoch] of image.writers) state.writers.set(name, epoch)
    return state
  }

  image(chain: ChainPlace, timeMs: number): StateImage {
    return {
      chain,
      timeMs,
      nextPartition: this.nextPartition,
      nextTopic: this.nextTopic,
      nextProducerId: this.nextProducerId,
      topics: [...this.topics.values()].map(({ topic, firstPartition }) => ({ ...topic, firstPartition })),
      partitions: [...this.partitions.values()].map((partition) => partition.image()),
      writers: [...this.writers],
    }
  }

  /** Applies one metadata record. Returns the partitions that a topic's deletion took away. */
  apply(record: MetaRecord): readonly PartitionState[] {
    switch (record.t) {
      case 'topic':
        this.#addTopic({ name: record.name, id: record.id, settings: record.settings }, record.firstPartition, new Map())
        this.nextTopic++
        this.nextPartition = record.firstPartition + record.settings.partitions
        return []
      case 'alter': {
        const state = this.topics.get(record.name)
        if (state) state.topic = { ...state.topic, settings: record.settings }
        return []
      }
      case 'delete':
        return this.#deleteTopic(record.name)
      case 'writer':
        this.writers.set(record.name, record.epoch)
        return []
      case 'producer':
        this.nextProducerId = record.next
        return []
      case 'trim': {
        const partition = this.partitions.get(record.partition)
        if (partition) {
          partition.start = record.start
          partition.bytes = record.bytes
          partition.damages = partition.damages.filter((damage) => damage.to > record.start)
        }
        return []
      }
      case 'skip': {
        const partition = this.partitions.get(record.partition)
        if (partition) {
          const others = partition.damages.filter((damage) => damage.from !== record.damage.from)
          partition.damages = [...others, record.damage].sort((a, b) => a.from - b.from)
        }
        return []
      }
      case 'compact': {
        const partition = this.partitions.get(record.partition)
        if (partition) partition.bytes = record.bytes
        return []
      }
    }
  }

  /** The topic, or MR_TOPIC_UNKNOWN. */
  topicOf(name: string): TopicState {
    const state = this.topics.get(name)
    if (!state) throw new MillraceError('MR_TOPIC_UNKNOWN', { details: { topic: name } })
    return state
  }

  /** The partition, or MR_TOPIC_UNKNOWN, MR_PARTITION_UNKNOWN. */
  partitionOf(topic: string, index: number): PartitionState {
    const partition = this.topicOf(topic).partitions[index]
    if (!partition) throw new MillraceError('MR_PARTITION_UNKNOWN', { details: { topic, partition: index } })
    return partition
  }

  #addTopic(topic: Topic, firstPartition: number, images: ReadonlyMap<number, PartitionImage>): void {
    const partitions: PartitionState[] = []
    for (let index = 0; index < topic.settings.partitions; index++) {
      const id = firstPartition + index
      const folder = partitionFolder(this.folder, topic.id, index)
      const image = images.get(id)
      const partition = image ? PartitionState.restore(image, topic.name, index, folder) : new PartitionState(id, topic.name, index, folder)
      this.partitions.set(id, partition)
      partitions.push(partition)
    }
    this.topics.set(topic.name, new TopicState(topic, firstPartition, partitions))
  }

  #deleteTopic(name: string): readonly PartitionState[] {
    const state = this.topics.get(name)
    if (!state) return []
    this.topics.delete(name)
    for (const partition of state.partitions) {
      partition.deleted = true
      this.partitions.delete(partition.id)
    }
    return state.partitions
  }
}
