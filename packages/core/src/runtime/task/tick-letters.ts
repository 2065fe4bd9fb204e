// The dead letters of a task's open tick, and the share that bad rows are of the newest ones. Letters become durable with the tick's commit
// or never: after a crash the work that made them is done again.
import type { Batch, Field } from '../../codec/column.ts'
import type { SubTopology } from '../../compile/topology.ts'
import type { LogPart } from '../../log/log.ts'
import type { TaskEnvironment } from '../environment.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { deadLetterTopic } from '../topic-names.ts'
import { BadShare } from './bad-share.ts'
import type { DeadLetter } from './dead-letter.ts'
import { encodeLetter, makeLetter } from './dead-letter.ts'

/** Letters of a commit are several batches when they are many: one batch has a limit. */
const BATCH_BYTES_TARGET = 16 * 1024 * 1024

/** Letters of one cause at one operator. */
interface CauseCount {
  readonly code: string
  readonly operator: string
  count: number
  readonly sample: string
}

type FieldsAt = (operator: string, input: number) => readonly Field[] | null

export class TickLetters {
  readonly #environment: TaskEnvironment
  readonly #part: SubTopology
  readonly #group: number
  readonly #task: string
  readonly #fieldsAt: FieldsAt
  readonly #figures: { deadLetters: number }
  readonly #share: BadShare
  readonly #builder = new RecordBatchBuilder(4096)
  #closed: LogPart[] = []
  #closedBytes = 0
  /** The rows that operators have in hand: how many, and which of them are bad already. */
  #inHand = 0
  readonly #badOffsets = new Set<number>()
  /** Since the last commit. */
  readonly #causes = new Map<string, CauseCount>()
  #tick = 0
  #wallMs = 0
  #attempt = 1

  /** @param fieldsAt What rows at an operator's input, or at the sink, look like; null when they have no typed columns. */
  constructor(environment: TaskEnvironment, part: SubTopology, group: number, fieldsAt: FieldsAt, figures: { deadLetters: number }) {
    this.#environment = environment
    this.#part = part
    this.#group = group
    this.#task = `${part.name}/${group}`
    this.#fieldsAt = fieldsAt
    this.#figures = figures
    const { badShareMax, badShareWindow } = environment.plan.settings
    this.#share = new BadShare(badShareMax, badShareWindow)
  }

  /** What the letters from now on say of their time. */
  stamp(tick: number, wallMs: number): void {
    this.#tick = tick
    this.#wallMs = wallMs
  }

  /** Bytes that wait for the commit. */
  get bytes(): number {
    return this.#closedBytes + (this.#builder.count === 0 ? 0 : this.#builder.bytes)
  }

  // Rows, good and bad.

  /** So many rows came in. */
  countRows(count: number): void {
    this.#share.rows(count)
  }

  /** So many rows came in and are in the operators' hands, until `handBack`: several letters may come of one. */
  hand(count: number): void {
    this.#share.rows(count)
    this.#inHand = count
  }

  handBack(): void {
    this.#inHand = 0
    this.#badOffsets.clear()
  }

  /** Makes a letter of one row that `operator` could not take. An error of ours is thrown on: no record is to blame. */
  reject(operator: string, input: number, batch: Batch, row: number, error: unknown, isUndelivered = false): void {
    if (isMillraceError(error) && error.kind === 'internal') throw error
    const context = {
      pipeline: this.#environment.plan.pipeline,
      part: this.#part.name,
      group: this.#group,
      codeVersion: this.#environment.topology.codeVersion,
      tick: this.#tick,
      atMs: this.#wallMs,
      attempt: this.#attempt,
      isUndelivered,
    }
    const letter = makeLetter(context, operator, input, batch, row, this.#fieldsAt(operator, input), error)
    // A late record is no failure of the record or the code: it does not count towards the pause.
    if (letter.head.code !== 'MR_TIME_LATE') this.#countBad(operator, letter.head.offset)
    this.#post(letter)
  }

  /** A row counts once, however many letters come of it. One that is in nobody's hand yet is a row of its own. */
  #countBad(operator: string, offset: number): void {
    if (operator === this.#part.sink?.name) return this.#share.bad()
    if (this.#inHand === 0) {
      this.#share.rows(1)
      return this.#share.bad()
    }
    // Rows made inside the pipeline have no offset; more of them than rows came in tell no more.
    const id = offset >= 0 ? offset : -1 - this.#badOffsets.size
    if (this.#badOffsets.has(id) || this.#badOffsets.size >= this.#inHand) return
    this.#badOffsets.add(id)
    this.#share.bad()
  }

  /** A letter that was to be tried again cannot enter: it goes back and stays what it is, of its own version and tick. */
  sendBack(letter: DeadLetter, { code, message, fix }: MillraceError): void {
    const { head } = letter
    this.#share.rows(1)
    this.#share.bad()
    this.#post({ ...letter, head: { ...head, code, message, fix, place: null, atMs: this.#wallMs, attempt: head.attempt + 1 } })
  }

  /** Letters made while `run` runs count as attempt `attempt`. */
  withAttempt(attempt: number, run: () => void): void {
    this.#attempt = attempt
    try {
      run()
    } finally {
      this.#attempt = 1
    }
  }

  #post(letter: DeadLetter): void {
    const { code, operator, message } = letter.head
    this.#builder.append(null, encodeLetter(letter), this.#wallMs)
    this.#figures.deadLetters++
    if (this.#builder.bytes >= BATCH_BYTES_TARGET) this.#close()
    const id = `${code} ${operator}`
    const known = this.#causes.get(id)
    if (known === undefined) this.#causes.set(id, { code, operator, count: 1, sample: message })
    else known.count++
  }

  #close(): void {
    if (this.#builder.count === 0) return
    this.#closedBytes += this.#builder.bytes
    this.#closed.push({ topic: deadLetterTopic(this.#environment.plan.pipeline), partition: 0, batch: this.#builder.finish() })
    this.#builder.reset()
  }

  // The end of the tick.

  /** @throws {MillraceError} `MR_RUNTIME_BAD_SHARE` when too many of the newest rows failed: the tick is then not committed. */
  checkShare(): void {
    if (!this.#share.exceeded()) return
    const worst = [...this.#causes.values()].sort((a, b) => b.count - a.count)[0]
    throw new MillraceError('MR_RUNTIME_BAD_SHARE', {
      details: {
        task: this.#task,
        bad: this.#share.badCount,
        of: this.#share.count,
        operator: worst?.operator ?? '',
        cause: worst?.code ?? '',
      },
      ...(worst === undefined ? {} : { message: `too large a share of the newest records failed: ${worst.sample}` }),
    })
  }

  /** What the commit takes. */
  take(): readonly LogPart[] {
    this.#close()
    this.#closedBytes = 0
    return this.#closed.splice(0, this.#closed.length)
  }

  /** The letters are durable: says how many there are of each cause. */
  announce(): void {
    for (const cause of this.#causes.values()) this.#environment.report({ kind: 'dead-letters', task: this.#task, ...cause })
    this.#causes.clear()
  }
}
