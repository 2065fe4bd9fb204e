// The dead letters of every pipeline that this log knows, running or not.
import { type Clock, deadLetterTopic, type Log, MillraceError, nearestWord } from '@millrace/core/engine'
import { DeadLetters } from './dead-letters.ts'
import { storedPlans } from '../pipelines/plan-store.ts'

const SUFFIX = deadLetterTopic('')

export class LetterBoxes {
  readonly #log: Log
  readonly #clock: Clock
  readonly #boxes = new Map<string, DeadLetters>()

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Names of pipelines that have ever run on this log; those of replays too. */
  names(): readonly string[] {
    return this.#log.topics().flatMap(({ name }) => (name.endsWith(SUFFIX) && name !== SUFFIX ? [name.slice(0, -SUFFIX.length)] : []))
  }

  /** @throws {MillraceError} `MR_SERVER_PIPELINE_UNKNOWN` with the nearest name. */
  of(pipeline: string): DeadLetters {
    const known = this.#boxes.get(pipeline)
    if (known !== undefined) return known
    const names = this.names()
    if (!names.includes(pipeline)) {
      const near = nearestWord(pipeline, names)
      throw new MillraceError('MR_SERVER_PIPELINE_UNKNOWN', {
        message: `no pipeline of this name has run${near === null ? '.' : `; did you mean \`${near}\`?`}`,
        details: { pipeline: pipeline.slice(0, 100), known: names.join(', ') },
      })
    }
    const box = new DeadLetters({ log: this.#log, clock: this.#clock, pipeline, plans: () => storedPlans(this.#log, pipeline) })
    this.#boxes.set(pipeline, box)
    return box
  }

  /** Lets go of what is remembered of a pipeline whose dead letters are deleted. */
  async forget(pipeline: string): Promise<void> {
    const box = this.#boxes.get(pipeline)
    this.#boxes.delete(pipeline)
    await box?.close()
  }

  async close(): Promise<void> {
    for (const box of this.#boxes.values()) await box.close()
  }
}
