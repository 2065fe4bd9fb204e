// The retry partition of a task: dead letters on their way back in. They enter at the operator that failed, in their original order among
// themselves, outside the watermark. A letter of another code version cannot enter: it goes back to the dead letters with that reason.
import type { Batch } from '../codec/column.ts'
import type { LogReader } from '../log/log.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { SourceInput } from './source-input.ts'
import type { TaskCore } from './task-core.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { readBlock } from '../codec/block.ts'
import { RecordRows } from '../codec/record-rows.ts'
import { decodeLetter } from './dead-letter.ts'
import { withOpenValues } from './exchange-rows.ts'
import { retryTopic } from './topic-names.ts'

const FETCH_BYTES = 256 * 1024

export class RetryInput {
  readonly #core: TaskCore
  readonly #topic: string
  readonly #reader: LogReader
  readonly #rows = new RecordRows()
  #next: number

  constructor(core: TaskCore) {
    this.#core = core
    this.#topic = retryTopic(core.environment.plan.pipeline, core.part.name)
    this.#reader = core.environment.log.reader()
    this.#next = core.state.retryNext
  }

  get next(): number {
    return this.#next
  }

  get topic(): string {
    return this.#topic
  }

  hasLag(): boolean {
    const ends = this.#core.environment.log.ends(this.#topic).find((other) => other.partition === this.#core.group)
    return ends !== undefined && ends.end > Math.max(this.#next, ends.start)
  }

  /** Lets one fetch of letters enter. Returns their number. */
  async poll(sources: ReadonlyMap<string, { readonly index: number; readonly input: SourceInput }>): Promise<number> {
    const [fetched] = await this.#reader.fetch([{ topic: this.#topic, partition: this.#core.group, offset: this.#next }], {
      bytesMax: FETCH_BYTES,
    })
    const part = must(fetched, 'retry fetch')
    if (part.error !== null) throw part.error
    const count = this.#rows.read(part.bytes, part.from)
    for (let row = 0; row < count; row++) {
      const letter = decodeLetter(part.bytes, this.#rows.valueStarts[row] as number, this.#rows.valueEnds[row] as number)
      this.#core.withAttempt(letter.head.attempt + 1, () => this.#enter(letter, sources))
    }
    this.#next = part.next
    return count
  }

  #enter(letter: DeadLetter, sources: ReadonlyMap<string, { readonly index: number; readonly input: SourceInput }>): void {
    const { head } = letter
    const core = this.#core
    if (head.codeVersion !== core.environment.topology.codeVersion) {
      const error = new MillraceError('MR_RUNTIME_RETRY_VERSION', {
        details: { written: head.codeVersion, running: core.environment.topology.codeVersion },
      })
      core.reject(head.operator, head.input, originalBatch(letter), 0, error)
      return
    }
    const source = sources.get(head.operator)
    if (source !== undefined) {
      source.input.retry(
        { original: letter.original, timeMs: head.timeMs, partition: head.partition, offset: head.offset },
        {
          process: (batch) => core.process(source.index, batch),
          reject: (batch, row, error) => core.reject(head.operator, 0, batch, row, error),
        },
      )
      return
    }
    const open = core.part.sink?.name === head.operator && core.part.sink.open
    const batch =
      letter.block.length > 0
        ? withOpenValues(withOrigin(readBlock(letter.block, 0, letter.block.length), letter), open)
        : originalBatch(letter)
    if (!core.enter(head.operator, head.input, batch))
      core.reject(
        head.operator,
        head.input,
        batch,
        0,
        new MillraceError('MR_RUNTIME_RETRY_VERSION', {
          message: 'the pipeline has no such operator any more.',
          details: { operator: head.operator },
        }),
      )
  }

  close(): void {
    this.#reader.close()
  }
}

function withOrigin(batch: Batch, letter: DeadLetter): Batch {
  return { ...batch, origin: originalBatch(letter).origin }
}

/** A batch of one row that has only the record's bytes (and, for rows made by lambdas, the value parsed from them). */
function originalBatch({ head, original }: DeadLetter): Batch {
  let value: unknown = null
  try {
    value = JSON.parse(new TextDecoder().decode(original)) as unknown
  } catch {
    // Not JSON: whoever reads this row reads its bytes.
  }
  return {
    rowCount: 1,
    columns: [],
    times: Float64Array.of(head.timeMs),
    weights: null,
    selected: null,
    selectedCount: 1,
    origin: {
      topic: head.topic,
      partition: head.partition,
      bytes: original,
      valueStarts: Int32Array.of(0),
      valueEnds: Int32Array.of(original.length),
      keyStarts: Int32Array.of(-1),
      keyEnds: Int32Array.of(-1),
      offsets: Float64Array.of(head.offset),
    },
    originRows: null,
    values: [value],
  }
}
