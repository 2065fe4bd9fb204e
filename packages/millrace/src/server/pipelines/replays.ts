// The replays beside the pipelines of a plant: started by name, kept until they are deleted or the plant stops.
import { MillraceError, nearestWord } from '@millrace/core/engine'
import type { LetterBoxes } from '../letters/letter-boxes.ts'
import type { PlantPipeline } from './pipelines.ts'
import {
  deleteReplayTopics,
  type Replay,
  type ReplayEnvironment,
  type ReplayRequest,
  replaysLeft,
  type ReplayStatus,
  startReplay,
} from './replay.ts'

export class Replays {
  readonly #environment: ReplayEnvironment
  readonly #letters: LetterBoxes
  readonly #started = new Map<string, Replay>()
  /** Ids of those that look at their range and make their topics. */
  readonly #starting = new Set<string>()

  constructor(environment: ReplayEnvironment, letters: LetterBoxes) {
    this.#environment = environment
    this.#letters = letters
  }

  /** @throws {MillraceError} `MR_REPLAY_RUNNING` when the id was used before, `MR_REPLAY_EMPTY` when no record is in the range. */
  async start({ name, plan, running }: PlantPipeline, request: ReplayRequest): Promise<Replay> {
    const { id } = request
    if (this.#started.has(id) || this.#starting.has(id)) throw new MillraceError('MR_REPLAY_RUNNING', { details: { id, pipeline: name } })
    this.#starting.add(id)
    try {
      const replay = await startReplay(this.#environment, plan, running.topology.codeVersion, request)
      this.#started.set(id, replay)
      return replay
    } finally {
      this.#starting.delete(id)
    }
  }

  /** @throws {MillraceError} `MR_REPLAY_UNKNOWN` with the nearest id. */
  of(id: string): Replay {
    const found = this.#started.get(id)
    if (found !== undefined) return found
    const near = nearestWord(id, this.#started.keys())
    throw new MillraceError('MR_REPLAY_UNKNOWN', {
      message: `no replay of this id has run since the server started${near === null ? '.' : `; did you mean \`${near}\`?`}`,
      details: { id: id.slice(0, 40) },
    })
  }

  /** Those since the plant was started, and earlier ones whose topics are still there. */
  statuses(): readonly ReplayStatus[] {
    const started = Array.from(this.#started.values(), (replay) => replay.status())
    return [...started, ...replaysLeft(this.#environment.log, new Set([...this.#started.keys(), ...this.#starting]))]
  }

  /** Also of an earlier one. @throws {MillraceError} `MR_REPLAY_UNKNOWN`. */
  statusOf(id: string): ReplayStatus {
    return this.statuses().find((status) => status.id === id) ?? this.of(id).status()
  }

  /** Ends it when it runs, and deletes its topics and tables. Returns the topics that users saw. Throws MR_REPLAY_UNKNOWN. */
  async delete(id: string): Promise<readonly string[]> {
    const { pipeline } = this.statusOf(id)
    await this.#letters.forget(`${pipeline}.replay-${id}`)
    await this.#started.get(id)?.stop()
    this.#started.delete(id)
    return deleteReplayTopics(this.#environment.log, id)
  }

  async stop(): Promise<void> {
    for (const replay of this.#started.values()) await replay.stop()
  }
}
