// Dead letters: rows that an operator, a decoder or a sink could not take, on one topic per pipeline, written in the same commit as the work.
// A letter is a record: value = head as JSON text, a newline, the original bytes of the source record (a row that has none: its columns as
// JSON), the row as a block at the failed operator's input (when it has typed columns), the record's key. Head.originalBytes, head.blockBytes and
// head.keyBytes give the lengths.
import { inspect } from 'node:util'
import type { Batch, Field } from '../../codec/column.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { ERRORS, MillraceError, isMillraceError } from '../../base/errors.ts'
import { thrownText } from '../../base/thrown-text.ts'
import { userPlaceOf } from '../../base/user-place.ts'
import { BlockWriter } from '../../codec/block.ts'
import { rowValue } from '../../codec/column-value.ts'
import { jsonText } from '../../codec/json/exact.ts'
import { layoutId } from '../../codec/layout-id.ts'
import { writeBlocks } from './row-blocks.ts'
import { completeLetter, lostFields } from '../../compile/retried-row.ts'

export interface DeadLetterHead {
  readonly v: 1
  readonly pipeline: string
  readonly part: string
  readonly group: number
  readonly operator: string
  readonly input: number
  /** Where the record came from; offset -1 when the row was made inside the pipeline. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly tick: number
  readonly atMs: number
  readonly code: ErrorCode
  readonly message: string
  readonly fix: string
  /** `file:line:column` of the user's code that threw, when it did. */
  readonly place: string | null
  readonly attempt: number
  readonly codeVersion: string
  readonly originalBytes: number
  readonly blockBytes: number
  /** Left out when the record has no key, or is not known. */
  readonly keyBytes?: number
  /** What the failed operator took in, by id (codec/layout-id.ts) or `open`: another version of it takes the letter when it takes the same. */
  readonly layout: string
  /**
   * Fields of the row that are not in the letter: behind an exchange a row has the columns that somebody behind reads, and a retry needs
   * no others. Left out when all are there.
   */
  readonly lost?: readonly string[]
  /** True when the row could not even be handed on to `operator`, which another task runs: the bad row is all that the maker has left. */
  readonly isUndelivered?: true
}

/**
 * Why a letter whose row was never handed on cannot be retried, and what to do; null for any other. Its operator never had the row, and what
 * made it may have made others of the same record that did arrive: to run that again would count those twice.
 */
export function undeliveredReason({ isUndelivered, operator, topic, partition, offset }: DeadLetterHead): string | null {
  if (isUndelivered !== true) return null
  const record = offset < 0 ? 'what is missing' : `what is missing of record ${offset} of \`${topic}\`/${partition}`
  return `its row could not be handed on to \`${operator}\`: correct what makes the row, send ${record} as a record of its own (\`produce\`), and discard the letter`
}

export interface DeadLetter {
  readonly head: DeadLetterHead
  readonly original: Uint8Array
  readonly block: Uint8Array
  /** Key of the source record; null when it has none. */
  readonly key: Uint8Array | null
}

export interface LetterContext {
  readonly pipeline: string
  readonly part: string
  readonly group: number
  readonly codeVersion: string
  readonly tick: number
  readonly atMs: number
  readonly attempt: number
  readonly isUndelivered?: boolean
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const blocks = new BlockWriter()
const NOTHING = new Uint8Array(0)
/** Of a made row so much is kept: a letter must fit into its topic. */
const MADE_CHARS_MAX = 32 * 1024 * 1024
const SHOWN_CHARS_MAX = 10_000
const MESSAGE_CHARS_MAX = 4096

const UNDELIVERED_FIX =
  'Correct what makes the row and start again; send what is missing as a record of its own, and `npx millrace dlq discard` the letter: it cannot be retried.'

const layouts = new WeakMap<readonly Field[], string>()

/** What an operator with these fields takes in, as letters name it. */
export function letterLayout(fields: readonly Field[] | null): string {
  if (fields === null) return 'open'
  const known = layouts.get(fields) ?? layoutId(fields)
  layouts.set(fields, known)
  return known
}

function asMillraceError(error: unknown): MillraceError {
  try {
    if (isMillraceError(error) && typeof error.message === 'string' && Object.hasOwn(ERRORS, error.code)) return error
  } catch {
    // Not one of ours: looking at it throws.
  }
  return new MillraceError('MR_RUNTIME_USER_THROW', { message: thrownText(error), cause: error })
}

/** Makes the letter of one row. `fields`: the layout at the operator's input, null when the row has no typed columns. */
export function makeLetter(
  context: LetterContext,
  operator: string,
  input: number,
  batch: Batch,
  row: number,
  fields: readonly Field[] | null,
  error: unknown,
): DeadLetter {
  const known = asMillraceError(error)
  const origin = batch.origin
  const originRow = batch.originRows === null ? row : (batch.originRows[row] as number)
  const start = origin === null ? -1 : (origin.valueStarts[originRow] as number)
  const original = origin === null || start < 0 ? valueBytes(batch, row, fields) : origin.bytes.slice(start, origin.valueEnds[originRow])
  const lost = lostFields(batch, fields)
  const whole = fields !== null && lost.length > 0 ? completed(batch, fields) : batch
  const hasColumns =
    fields !== null && fields.length > 0 && fields.every((_, index) => whole.columns[index] !== null && whole.columns[index] !== undefined)
  const block = hasColumns ? blockOf(whole, fields, row) : NOTHING
  const time = batch.times[row] as number
  const keyStart = origin === null ? -1 : (origin.keyStarts[originRow] as number)
  const key = origin === null || keyStart < 0 ? null : origin.bytes.slice(keyStart, origin.keyEnds[originRow])
  const isUndelivered = context.isUndelivered === true
  return {
    head: {
      v: 1,
      pipeline: context.pipeline,
      part: context.part,
      group: context.group,
      operator,
      input,
      topic: origin?.topic ?? '',
      partition: origin?.partition ?? 0,
      offset: origin === null ? -1 : (origin.offsets[originRow] as number),
      timeMs: time === time ? time : -1,
      tick: context.tick,
      atMs: context.atMs,
      code: known.code,
      message: known.message.slice(0, MESSAGE_CHARS_MAX),
      fix: isUndelivered ? UNDELIVERED_FIX : known.fix,
      place: userPlaceOf(known.cause ?? error),
      attempt: context.attempt,
      codeVersion: context.codeVersion,
      originalBytes: original.length,
      blockBytes: block.length,
      ...(key === null ? {} : { keyBytes: key.length }),
      layout: letterLayout(fields),
      ...(lost.length === 0 ? {} : { lost }),
      ...(isUndelivered ? { isUndelivered } : {}),
    },
    original,
    block,
    key,
  }
}

/** Late rows come many to a batch, and the nulls in place of lost columns are as long as the batch. */
const newest: { batch: Batch | null; whole: Batch | null } = { batch: null, whole: null }

function completed(batch: Batch, fields: readonly Field[]): Batch {
  if (newest.batch !== batch || newest.whole === null) {
    newest.batch = batch
    newest.whole = completeLetter(batch, fields)
  }
  return newest.whole
}

function valueBytes(batch: Batch, row: number, fields: readonly Field[] | null): Uint8Array {
  if (batch.values === null) return fields === null ? NOTHING : encoder.encode(jsonText(rowValue(batch.columns, fields, row)))
  try {
    const text = jsonText(batch.values[row])
    return encoder.encode(text.length > MADE_CHARS_MAX ? text.slice(0, MADE_CHARS_MAX) : text)
  } catch {
    // A value that cannot be written as JSON (a cycle, a getter that throws) is shown as text.
    return encoder.encode(shown(batch.values[row]))
  }
}

/** The row in the letter, for a retry; a row that cannot be written has none. */
function blockOf(batch: Batch, fields: readonly Field[], row: number): Uint8Array {
  let block = NOTHING
  writeBlocks(blocks, fields, batch, Int32Array.of(row), 1, {
    take: (bytes) => {
      block = bytes.slice()
    },
    refuse: () => undefined,
  })
  return block
}

function shown(value: unknown): string {
  try {
    return inspect(value, { depth: 3, breakLength: Infinity, maxStringLength: SHOWN_CHARS_MAX, getters: false, customInspect: false })
  } catch {
    return 'a value that cannot be shown'
  }
}

export function encodeLetter(letter: DeadLetter): Uint8Array {
  const head = encoder.encode(`${JSON.stringify(letter.head)}\n`)
  const key = letter.key ?? NOTHING
  const bytes = new Uint8Array(head.length + letter.original.length + letter.block.length + key.length)
  bytes.set(head, 0)
  bytes.set(letter.original, head.length)
  bytes.set(letter.block, head.length + letter.original.length)
  bytes.set(key, bytes.length - key.length)
  return bytes
}

/** @throws {MillraceError} `MR_CODEC_BATCH_CORRUPT` when the record is not a letter. */
export function decodeLetter(bytes: Uint8Array, start: number, end: number): DeadLetter {
  const newline = bytes.indexOf(10, start)
  if (newline < 0 || newline >= end)
    throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a record on the dead-letter topic is not a dead letter.' })
  const head = JSON.parse(decoder.decode(bytes.subarray(start, newline))) as DeadLetterHead
  const from = newline + 1
  const middle = from + head.originalBytes
  const keyFrom = middle + head.blockBytes
  if (head.v !== 1 || keyFrom + (head.keyBytes ?? 0) !== end)
    throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a dead letter has another length than its head says.' })
  return {
    head,
    original: bytes.slice(from, middle),
    block: bytes.slice(middle, keyFrom),
    key: head.keyBytes === undefined ? null : bytes.slice(keyFrom, end),
  }
}
