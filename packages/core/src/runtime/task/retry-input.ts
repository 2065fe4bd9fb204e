// The retry partition of a task: dead letters on their way back in. They enter at the operator that failed, in their original order among
// themselves, outside the watermark. Bytes that could not be decoded re-enter at their source, whatever the version. A row of another version
// enters while its operator takes the same columns: state before the operator has the row since then, and state behind it has not. A letter
// from before a rebuild cannot enter, because the rebuild has read its record again. What cannot enter goes back with the reason.
import type { Batch } from '../../codec/column.ts'
import type { LogReader } from '../../log/log.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { SourceInput } from '../source/source-input.ts'
import type { TaskCore } from './task-core.ts'
import { assert, must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import { readBlock } from '../../codec/block.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { decodeLetter, undeliveredReason } from './dead-letter.ts'
import { withOpenValues } from '../exchange/exchange-rows.ts'
import { retryTopic } from '../topic-names.ts'

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

  #ends(): { readonly start: number; readonly end: number } | undefined {
    return this.#core.environment.log.ends(this.#topic).find((other) => other.partition === this.#core.group)
  }

  hasLag(): boolean {
    const ends = this.#ends()
    return ends !== undefined && ends.end > Math.max(this.#next, ends.start)
  }

  /** Lets one fetch of letters enter. Returns their number. */
  async poll(sources: ReadonlyMap<string, { readonly index: number; readonly input: SourceInput }>): Promise<number> {
    // Letters that waited for longer than their retention are gone.
    this.#next = Math.max(this.#next, this.#ends()?.start ?? 0)
    const [answer] = await this.#reader.fetch([{ topic: this.#topic, partition: this.#core.group, offset: this.#next }], {
      bytesMax: FETCH_BYTES,
    })
    const fetched = must(answer, 'retry fetch')
    if (fetched.error !== null) throw fetched.error
    const count = this.#rows.read(fetched.bytes, fetched.from)
    for (let row = 0; row < count; row++) {
      const letter = decodeLetter(fetched.bytes, this.#rows.valueStarts[row] as number, this.#rows.valueEnds[row] as number)
      this.#core.letters.withAttempt(letter.head.attempt + 1, () => this.#enter(letter, sources))
    }
    this.#next = fetched.next
    return count
  }

  #enter(letter: DeadLetter, sources: ReadonlyMap<string, { readonly index: number; readonly input: SourceInput }>): void {
    const { head } = letter
    const core = this.#core
    const source = sources.get(head.operator)
    const reason = this.#whyNot(letter, source?.input ?? null)
    if (reason !== null) {
      const { codeVersion } = core.environment.topology
      const details = { operator: head.operator, written: head.codeVersion, running: codeVersion }
      core.letters.sendBack(
        letter,
        new MillraceError('MR_RUNTIME_RETRY_VERSION', { message: `the dead letter cannot enter: ${reason}.`, details }),
      )
      return
    }
    if (source !== undefined) {
      source.input.retry(
        { original: letter.original, key: letter.key, timeMs: head.timeMs, partition: head.partition, offset: head.offset },
        {
          process: (batch) => core.process(source.index, batch),
          reject: (batch, row, error) => core.letters.reject(head.operator, 0, batch, row, error),
        },
      )
      return
    }
    const open = core.part.sink?.name === head.operator && core.part.sink.open
    const batch =
      letter.block.length > 0
        ? withOpenValues(withOrigin(readBlock(letter.block, 0, letter.block.length), letter), open)
        : originalBatch(letter)
    const isIn = core.enter(head.operator, head.input, batch)
    assert(isIn, () => `\`${head.operator}\` takes letters`)
  }

  /** Why a letter may not enter; null when it may. */
  #whyNot({ head }: DeadLetter, source: SourceInput | null): string | null {
    const core = this.#core
    if (head.tick <= (core.state.rebuiltTick ?? -1)) return 'the state was built again since then, which has read its record once more'
    if (source !== null) {
      const { name } = source.spec.topic
      return name === head.topic ? null : `\`${head.operator}\` reads the topic \`${name}\` now, not \`${head.topic}\``
    }
    const undelivered = undeliveredReason(head)
    if (undelivered !== null) return undelivered
    const layout = core.layoutAt(head.operator, head.input)
    if (layout === null) return `the pipeline has no operator \`${head.operator}\` there any more`
    if (head.codeVersion === core.environment.topology.codeVersion) return null
    if (layout !== head.layout) return `\`${head.operator}\` takes other columns now than when it failed`
    if (head.lost === undefined) return null
    return `the version that wrote it did not carry ${head.lost.map((name) => `\`${name}\``).join(', ')}, which the operator may read now`
  }

  close(): void {
    this.#reader.close()
  }
}

function withOrigin(batch: Batch, letter: DeadLetter): Batch {
  return { ...batch, origin: originalBatch(letter).origin }
}

/** A batch of one row that has only the record's bytes (and, for rows made by lambdas, the value parsed from them). */
function originalBatch({ head, original, key }: DeadLetter): Batch {
  const bytes = key === null ? original : new Uint8Array(original.length + key.length)
  if (key !== null) {
    bytes.set(original)
    bytes.set(key, original.length)
  }
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
      bytes,
      valueStarts: Int32Array.of(0),
      valueEnds: Int32Array.of(original.length),
      keyStarts: Int32Array.of(key === null ? -1 : original.length),
      keyEnds: Int32Array.of(key === null ? -1 : bytes.length),
      offsets: Float64Array.of(head.offset),
    },
    originRows: null,
    values: [value],
  }
}
