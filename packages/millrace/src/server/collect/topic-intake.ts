// What the collector knows about a topic: how its bodies split, where the key of an event is, and, where the topic validates, which events
// do not fit. Decoders learn from what they see, so each topic has its own; they are used between two awaits and never shared.
import {
  type AnyTopic,
  coerceRow,
  columnValue,
  csvDecoder,
  type DecodedColumns,
  jsonDecoder,
  MillraceError,
  must,
  type Problem,
  type RecordDecoder,
  type Topic,
} from '@millrace/core/engine'
import { type BadLine, LinesError } from '../http/answers.ts'
import type { BodyForm, BodySplitter } from './split-body.ts'

/** Bad lines that an answer names; further ones are only counted. */
const BAD_LINES_MAX = 10_000

/** Key ranges of the events of a body. */
export interface EventKeys {
  /** Null: no event has a key. */
  readonly bytes: Uint8Array | null
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** What a schema of another library does: its answers are somebody else's code, and may be anything. */
interface StandardFace {
  readonly validate: (value: unknown) => unknown
}

export class TopicIntake {
  readonly topic: Topic
  readonly #declared: AnyTopic | null
  readonly #keyIndex: number
  readonly #keyDecoder: RecordDecoder | null
  readonly #keyColumns: DecodedColumns | null
  readonly #validator: RecordDecoder | null
  readonly #validated: DecodedColumns | null
  readonly #encoder = new TextEncoder()
  #roundRobin = 0

  constructor(topic: Topic, declared: AnyTopic | null) {
    this.topic = topic
    this.#declared = declared
    const fields = declared?.fields ?? null
    const keyField = declared?.keyField ?? null
    this.#keyIndex = fields === null || keyField === null ? -1 : fields.findIndex((field) => field.name === keyField)
    this.#keyDecoder = this.#keyIndex < 0 ? null : decoderOf(declared, [this.#keyIndex])
    this.#keyColumns = this.#keyDecoder?.columns() ?? null
    const validates = declared?.validate === true && fields !== null && declared.format !== 'bytes'
    this.#validator =
      validates && fields !== null
        ? decoderOf(
            declared,
            fields.map((_, index) => index),
          )
        : null
    this.#validated = this.#validator?.columns() ?? null
  }

  get validates(): boolean {
    return this.#declared?.validate === true
  }

  get partitions(): number {
    return this.topic.settings.partitions
  }

  /** How a body of this media type splits. */
  form(contentType: string | null): BodyForm {
    if (this.#declared?.format === 'csv') return 'csv'
    if (this.#declared?.format === 'bytes') return 'whole'
    if (contentType === null) return 'detect'
    if (/^application\/(x-ndjson|ndjson|jsonl|x-jsonlines)\b/.test(contentType)) return 'lines'
    return contentType.startsWith('application/octet-stream') ? 'whole' : 'detect'
  }

  /** The next partition for a request without keys. */
  nextPartition(): number {
    this.#roundRobin = (this.#roundRobin + 1) % this.partitions
    return this.#roundRobin
  }

  /**
   * Keys of the events by the topic's key field; null where the topic has none. Events whose key cannot be read have a start of -1.
   * @throws {MillraceError} `MR_HTTP_EVENTS_REFUSED` for a key that is nested too deep to be written.
   */
  keys(events: BodySplitter): EventKeys | null {
    const keyField = this.#declared?.keyField ?? null
    if (keyField === null) return null
    if (this.#keyDecoder === null || this.#keyColumns === null) return this.#keysByParsing(events, keyField)
    this.#keyDecoder.decode(events.bytes, events.starts, events.ends, events.count, this.#keyColumns)
    const column = must(this.#keyColumns.columns[this.#keyIndex], 'key column')
    const { type } = must(must(this.#declared?.fields, 'fields')[this.#keyIndex], 'key field')
    const isGood = new Uint8Array(events.count)
    for (let index = 0; index < this.#keyColumns.selectedCount; index++) isGood[this.#keyColumns.selected[index] as number] = 1
    if (column.layout === 'slice' && column.validity === null && this.#keyColumns.selectedCount === events.count) {
      return { bytes: column.data, starts: column.starts, ends: column.ends }
    }
    return this.#texts(events.count, (row) => (isGood[row] === 1 ? columnValue(column, type, row) : null))
  }

  #keysByParsing(events: BodySplitter, keyField: string): EventKeys {
    const lines: BadLine[] = []
    let total = 0
    const keys = this.#texts(events.count, (row) => {
      let value: unknown
      try {
        value = (JSON.parse(textOf(events, row)) as Readonly<Record<string, unknown>> | null)?.[keyField]
      } catch {
        // Not JSON: an event without a readable key goes where events without a key go.
        return null
      }
      try {
        return typeof value === 'object' && value !== null ? JSON.stringify(value) : value
      } catch {
        // Reading takes less stack than writing.
        total++
        if (lines.length < BAD_LINES_MAX)
          lines.push({
            line: events.lines[row] as number,
            field: keyField,
            code: 'MR_CODEC_JSON_INVALID',
            message: 'the key is nested too deep.',
          })
        return null
      }
    })
    if (total > 0) {
      const text = `${total} of ${events.count} events have a key that cannot be written; nothing was appended.`
      throw new LinesError(lines, { topic: this.topic.name, bad: total, events: events.count }, text)
    }
    return keys
  }

  #texts(count: number, valueOf: (row: number) => unknown): EventKeys {
    const starts = new Int32Array(count)
    const ends = new Int32Array(count)
    const pieces: Uint8Array[] = []
    let at = 0
    for (let row = 0; row < count; row++) {
      const value = valueOf(row)
      if (value === null || value === undefined) {
        starts[row] = -1
        continue
      }
      const piece =
        value instanceof Uint8Array
          ? value
          : this.#encoder.encode(typeof value === 'string' ? value : typeof value === 'bigint' ? String(value) : JSON.stringify(value))
      pieces.push(piece)
      starts[row] = at
      at += piece.length
      ends[row] = at
    }
    return { bytes: Buffer.concat(pieces, at), starts, ends }
  }

  /** What does not fit the schema, event by event; empty when all fit. `total` counts also those that are not listed. */
  async problems(events: BodySplitter): Promise<{ readonly lines: readonly BadLine[]; readonly total: number }> {
    if (!this.validates) return { lines: [], total: 0 }
    const foreign = this.#declared?.foreignSchema ?? null
    if (foreign !== null) return foreignProblems((foreign as { readonly '~standard': StandardFace })['~standard'], events)
    if (this.#validator === null || this.#validated === null) return { lines: [], total: 0 }
    this.#validator.decode(events.bytes, events.starts, events.ends, events.count, this.#validated)
    const errors = this.#validated.errors.toSorted((a, b) => a.row - b.row)
    const lines: BadLine[] = []
    for (const { row, code, field, message, at } of errors) {
      if (lines.length >= BAD_LINES_MAX) break
      const line = events.lines[row] as number
      const all = field === '' ? [] : this.#allProblems(events, row)
      if (all.length > 1)
        for (const problem of all) lines.push({ line, field: problem.path.join('.'), code: problem.code, message: problem.message })
      else
        lines.push({
          line,
          field: field === '' ? null : field,
          code,
          message: field === '' ? `${message}, byte ${at} of the event` : message,
        })
    }
    return { lines, total: errors.length }
  }

  /** The decoder stops at an event's first problem; whoever mends an event wants to know them all. */
  #allProblems(events: BodySplitter, row: number): readonly Problem[] {
    const problems: Problem[] = []
    if (this.#declared?.format !== 'json') return problems
    const value: unknown = JSON.parse(textOf(events, row))
    if (typeof value === 'object' && value !== null)
      coerceRow(must(this.#declared.fields, 'fields'), value as Readonly<Record<string, unknown>>, [], problems)
    return problems
  }
}

async function foreignProblems(
  face: StandardFace,
  events: BodySplitter,
): Promise<{ readonly lines: readonly BadLine[]; readonly total: number }> {
  // A schema may answer later, and the splitter belongs to the next request by then.
  const texts = Array.from({ length: events.count }, (_, row) => ({ line: events.lines[row] as number, text: textOf(events, row) }))
  const lines: BadLine[] = []
  let total = 0
  for (const { line, text } of texts) {
    const found = await foreignProblemsOf(face, line, text)
    if (found.length === 0) continue
    total++
    if (lines.length < BAD_LINES_MAX) lines.push(...found)
  }
  return { lines, total }
}

async function foreignProblemsOf(face: StandardFace, line: number, text: string): Promise<readonly BadLine[]> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return [{ line, field: null, code: 'MR_CODEC_JSON_INVALID', message: (error as Error).message }]
  }
  try {
    return issueLines(line, await face.validate(value))
  } catch {
    // What it threw may name anything of the program that it is part of, and the client is not its author.
    return [{ line, field: null, code: 'MR_SCHEMA_REFUSED', message: 'the schema failed at this event.' }]
  }
}

function issueLines(line: number, result: unknown): readonly BadLine[] {
  const { issues } = result as { readonly issues?: unknown }
  if (issues === undefined) return []
  if (!Array.isArray(issues)) throw new TypeError('`issues` is no list')
  return (issues as readonly { readonly message: unknown; readonly path?: readonly unknown[] }[]).map(({ message, path }) => {
    if (typeof message !== 'string') throw new TypeError('an issue has no message')
    const field = (path ?? []).map((part) => String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part)).join('.')
    return { line, field: field === '' ? null : field, code: 'MR_SCHEMA_REFUSED', message }
  })
}

function textOf(events: BodySplitter, row: number): string {
  return events.bytes.toString('utf8', events.starts[row], events.ends[row])
}

function decoderOf(declared: AnyTopic | null, projection: readonly number[]): RecordDecoder {
  const fields = must(declared?.fields, 'fields')
  if (declared?.format === 'csv') return csvDecoder(fields, projection)
  if (declared?.format === 'json') return jsonDecoder(fields, projection)
  throw new MillraceError('MR_CODEC_UNSUPPORTED', {
    message: 'records of this format have no fields.',
    details: { topic: declared?.name ?? '' },
  })
}
