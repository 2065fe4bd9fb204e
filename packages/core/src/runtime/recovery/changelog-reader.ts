// Reads the changelog of one task group, batch by batch, also where it is damaged.
import type { TaskEnvironment } from '../environment.ts'
import { must } from '../../base/assert.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { wholeFetchBytes } from '../fetch-size.ts'
import { changelogTopic } from '../topic-names.ts'
import { behindDamage, type Damage, isDamage } from './damage.ts'

/** What restoring needs of a task's environment. */
export type RestoreEnvironment = Pick<TaskEnvironment, 'log' | 'clock' | 'scheduler' | 'plan' | 'topology' | 'report'>

export class ChangelogReader {
  /** Offsets that the changelog has at the start of the restore. */
  readonly start: number
  readonly end: number
  readonly #environment: RestoreEnvironment
  readonly #topic: string
  readonly #group: number

  constructor(environment: RestoreEnvironment, part: string, group: number) {
    this.#environment = environment
    this.#topic = changelogTopic(environment.plan.pipeline, part)
    this.#group = group
    const ends = must(
      environment.log.ends(this.#topic).find((other) => other.partition === group),
      'changelog partition',
    )
    this.start = ends.start
    this.end = ends.end
  }

  /** Calls `each` for every batch from `from` on, in order, and `onDamage` for every stretch that cannot be read. */
  async eachBatch(from: number, each: (rows: RecordRows, count: number) => void, onDamage: (damage: Damage) => void): Promise<void> {
    const { log, scheduler } = this.#environment
    const topic = this.#topic
    const reader = log.reader()
    const rows = new RecordRows()
    const bytesMax = wholeFetchBytes(log, topic, this.#group)
    let offset = from
    try {
      while (offset < this.end) {
        const [answer] = await reader.fetch([{ topic, partition: this.#group, offset }], { bytesMax })
        const fetched = must(answer, 'changelog fetch')
        if (isDamage(fetched.error)) {
          const behind = await behindDamage(reader, topic, this.#group, offset, this.end)
          onDamage({ from: offset, to: behind, error: fetched.error })
          offset = behind
          continue
        }
        if (fetched.error !== null) throw fetched.error
        if (fetched.next === fetched.from) break
        each(rows, rows.read(fetched.bytes, fetched.from))
        offset = fetched.next
        await scheduler.turn()
      }
    } finally {
      reader.close()
    }
  }
}
