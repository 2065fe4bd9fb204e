// An exchange on a memory log, written to by hand: what producers append and state, and the input that reads it.
import type { InputSpec } from '../../compile/topology.ts'
import { seededRandom } from '../../base/random.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { MemoryLog } from '../../log/memory-log.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { ExchangePosition } from './exchange-input.ts'
import { ExchangeInput } from './exchange-input.ts'
import { writeHead } from './exchange-output.ts'
import type { ProgressEntry } from './progress.ts'
import { encodeProgress } from './progress.ts'
import { ProgressBoard } from './progress-board.ts'

const SPEC: Extract<InputSpec, { kind: 'exchange' }> = {
  kind: 'exchange',
  name: 'exchange',
  topic: 'exchange',
  fields: [],
  open: false,
  mode: 'append',
  partitions: 1,
  producer: 'P',
  producerOutput: 0,
}

export interface Written {
  readonly partition: number
  readonly producer: number
  readonly tick: number
  readonly running: number
  readonly bytes: number
}

export function progressBatch(
  through: number,
  entries: readonly ProgressEntry[],
  reached: readonly (readonly number[])[] = [],
): Uint8Array {
  const batch = new RecordBatchBuilder(512)
  batch.append(null, encodeProgress({ through, entries, bindings: [], reached, waitsFor: Infinity, wants: 0 }), 1)
  return batch.finish().slice()
}

export class ExchangeFixture {
  readonly time = new VirtualTime()
  readonly log: MemoryLog = new MemoryLog({ clock: this.time, scheduler: this.time, random: seededRandom(1) })
  readonly producers: number
  readonly partitions: number

  private constructor(producers: number, partitions: number) {
    this.producers = producers
    this.partitions = partitions
  }

  static async open(producers: number, partitions: number): Promise<ExchangeFixture> {
    const fixture = new ExchangeFixture(producers, partitions)
    const { time, log } = fixture
    await time.run(log.createTopic('exchange', { partitions }))
    await time.run(log.createTopic('p', { partitions: producers }))
    await time.run(log.createTopic('r'))
    return fixture
  }

  async write(batches: readonly Written[]): Promise<void> {
    for (const { partition, producer, tick, running, bytes } of batches) {
      const batch = new RecordBatchBuilder(512)
      batch.append(null, writeHead({ producer, tick, running }), 0)
      batch.append(null, new Uint8Array(bytes), 0)
      await this.time.run(this.log.append([{ topic: 'exchange', partition, batch: batch.finish().slice() }]))
    }
  }

  /** Every producer states `through`, and the running numbers it has reached: reached[producer][partition]. */
  async state(through: number, reached: readonly (readonly number[])[]): Promise<void> {
    for (const [partition, own] of reached.entries())
      await this.time.run(this.log.append([{ topic: 'p', partition, batch: progressBatch(through, [], [own]) }]))
  }

  async input(creditBytes: number, positions: readonly ExchangePosition[] = []): Promise<ExchangeInput> {
    const board = new ProgressBoard(this.log, [
      { name: 'P', groups: this.producers, progressTopic: 'p', exchanges: [], producers: [], readers: ['R'] },
      { name: 'R', groups: 1, progressTopic: 'r', exchanges: ['exchange'], producers: ['P'], readers: [] },
    ])
    await this.time.run(board.open())
    const options = { group: 0, groups: 1, producerGroups: this.producers, producerOutput: 0, creditBytes }
    return new ExchangeInput(this.log, board, { ...SPEC, partitions: this.partitions }, options, positions)
  }
}
