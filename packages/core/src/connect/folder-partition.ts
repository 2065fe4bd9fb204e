// Which folder a row belongs to: hive-style `name=value/` per partition rule.
// A rule is the name of a field (string, i32, i64, bool; the field then leaves the file, because the folder says it), or `date` or
// `hour` (UTC) of the event time, or `date(field)` or `hour(field)` of a time field. A field called `date` or `hour` wins over the event time.
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import type { Batch, Column, Field } from '../codec/column.ts'
import { Interner } from '../codec/interner.ts'
import { utf8Text } from '../codec/utf8.ts'

/** What the folder of a null or empty value is called everywhere else. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__'
/** File systems refuse names of more than 255 bytes. */
const FOLDER_NAME_SIZE_MAX = 255
const TOO_LONG = '-'.repeat(FOLDER_NAME_SIZE_MAX + 1)
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Rows that are sorted into folders at once: few enough for one dictionary, many enough to forget the cost of starting. */
const SLICE_ROWS = 32_768
const PARTITION_KINDS: readonly string[] = ['string', 'i32', 'i64', 'bool']

interface PartitionRule {
  readonly name: string
  /** The field that is read; null: the event time of the row. */
  readonly fieldIndex: number | null
  readonly by: 'value' | 'date' | 'hour'
}

function refuse(rule: string, message: string): never {
  throw new MillraceError('MR_SINK_PARTITION', { message, details: { partitionBy: rule } })
}

function parseRule(text: string, fields: readonly Field[]): PartitionRule {
  const plain = fields.findIndex((field) => field.name === text)
  if (plain >= 0) {
    const { kind } = must(fields[plain], text).type
    if (kind === 'time') refuse(text, `a time makes a folder per millisecond; write date(${text}) or hour(${text}).`)
    if (!PARTITION_KINDS.includes(kind))
      refuse(text, `a field of kind ${kind} cannot name folders; use one of ${PARTITION_KINDS.join(', ')}.`)
    return { name: text, fieldIndex: plain, by: 'value' }
  }
  if (text === 'date' || text === 'hour') return { name: text, fieldIndex: null, by: text }
  const call = /^(date|hour)\((.+)\)$/.exec(text)
  const fieldName = call?.[2]
  const fieldIndex = fields.findIndex((field) => field.name === fieldName)
  if (call === null || fieldIndex < 0)
    refuse(text, `there is no such field; the fields are ${fields.map((field) => field.name).join(', ')}.`)
  if (must(fields[fieldIndex], text).type.kind !== 'time') refuse(text, 'only a time field has a date and an hour.')
  const by = call[1] === 'hour' ? 'hour' : 'date'
  return { name: by, fieldIndex, by }
}

/** Escapes what Hive escapes, so that every reader finds the value again. */
export function folderName(name: string, value: string | null): string {
  if (value === null || value === '') return `${escapeText(name)}=${NULL_FOLDER}`
  return `${escapeText(name)}=${escapeText(value)}`
}

/** Besides control characters. */
const ESCAPED = '"#%\'*/:=?\\{[]^\u007f'

function escapeText(text: string): string {
  return Array.from(text, (character) =>
    character < ' ' || ESCAPED.includes(character) ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}` : character,
  ).join('')
}

/** Rows of a batch that go to one folder. */
export interface FolderRows {
  /** Relative, with `/` between the levels; empty without partitions. */
  readonly folder: string
  readonly batch: Batch
}

type Key = string | number | bigint | null

/** Values of one rule as small numbers, with their folder names. Lives for one slice of a batch. */
class RuleCodes {
  readonly #rule: PartitionRule
  readonly #texts = new Interner()
  /** A view of the bytes that were looked at last. */
  #data: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#data.buffer)
  readonly #codes = new Map<Key, number>()
  readonly folders: string[] = []
  /** Rows next to each other are mostly of one day: times in [from, to) have the code of the row before. */
  #fromMs = 0
  #toMs = 0
  #lastCode = 0

  constructor(rule: PartitionRule) {
    this.#rule = rule
  }

  clear(): void {
    this.#texts.reset()
    this.#codes.clear()
    this.folders.length = 0
    this.#fromMs = this.#toMs = 0
  }

  #add(key: Key, value: string | null): number {
    const code = this.folders.push(folderName(this.#rule.name, value)) - 1
    this.#codes.set(key, code)
    return code
  }

  of(column: Column | null, times: Float64Array, row: number): number {
    if (column !== null && column.validity !== null && column.validity[row] === 0) return this.#codes.get(null) ?? this.#add(null, null)
    if (this.#rule.by === 'value') return this.#valueCode(must(column, 'partition column'), row)
    const ms = column === null ? (times[row] as number) : Number((column as { readonly values: ArrayLike<number | bigint> }).values[row])
    return ms >= this.#fromMs && ms < this.#toMs ? this.#lastCode : this.#timeCode(ms)
  }

  #timeCode(ms: number): number {
    const size = this.#rule.by === 'hour' ? HOUR_MS : DAY_MS
    const from = Math.floor(ms / size) * size
    const at = new Date(from)
    // A time that no calendar has (more than 270,000 years away) has no date either.
    const text = Number.isNaN(at.getTime())
      ? null
      : this.#rule.by === 'hour'
        ? at.toISOString().slice(-13, -11)
        : at.toISOString().slice(0, -14)
    this.#fromMs = from
    this.#toMs = from + size
    this.#lastCode = this.#codes.get(text) ?? this.#add(text, text)
    return this.#lastCode
  }

  #valueCode(column: Column, row: number): number {
    switch (column.layout) {
      case 'bool':
      case 'i32':
      case 'f64':
      case 'i64': {
        const value = column.values[row] as number | bigint
        const known = this.#codes.get(value)
        if (known !== undefined) return known
        return this.#add(value, column.layout === 'bool' ? String(value !== 0) : String(value))
      }
      case 'dictionary': {
        const id = column.ids[row] as number
        const { offsets, data } = column.dictionary
        return this.#bytesCode(data, offsets[id] as number, offsets[id + 1] as number)
      }
      case 'bytes':
        return this.#bytesCode(column.data, column.offsets[row] as number, column.offsets[row + 1] as number)
      case 'slice':
        return this.#bytesCode(column.data, column.starts[row] as number, column.ends[row] as number)
      default:
        return refuse(this.#rule.name, `a column of layout ${column.layout} cannot name folders.`)
    }
  }

  #bytesCode(data: Uint8Array, start: number, end: number): number {
    // No folder has such a name: one code stands for all of these, so that long texts are not kept.
    if (end - start > FOLDER_NAME_SIZE_MAX) return this.#codes.get(TOO_LONG) ?? this.#add(TOO_LONG, TOO_LONG)
    if (data !== this.#data) {
      this.#data = data
      this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    }
    const id = this.#texts.intern(data, this.#view, start, end)
    return this.#codes.get(id) ?? this.#add(id, utf8Text(data, start, end))
  }
}

interface Group {
  /** Null: the folder cannot exist. */
  readonly folder: string | null
  count: number
  /** Where its next row goes, at last where its rows end. */
  end: number
}

/** Sorts rows into folders. The order of rows inside a folder stays. */
export class Partitioner {
  readonly #rules: readonly PartitionRule[]
  readonly #codes: readonly RuleCodes[]
  readonly #keptIndexes: readonly number[]
  /** The fields of the files: all that no folder says already. */
  readonly fileFields: readonly Field[]

  /** @throws {MillraceError} `MR_SINK_PARTITION` when a rule does not fit the fields. */
  constructor(partitionBy: readonly string[], fields: readonly Field[]) {
    this.#rules = partitionBy.map((text) => parseRule(text, fields))
    const names = this.#rules.map((rule) => rule.name)
    if (new Set(names).size < names.length) refuse(partitionBy.join(', '), 'two partitions have the same name.')
    this.#codes = this.#rules.map((rule) => new RuleCodes(rule))
    const inFolders = new Set(this.#rules.filter((rule) => rule.by === 'value').map((rule) => rule.fieldIndex))
    this.#keptIndexes = fields.map((_, index) => index).filter((index) => !inFolders.has(index))
    this.fileFields = this.#keptIndexes.map((index) => must(fields[index], 'field'))
  }

  /** Calls `take` for every folder that the batch has rows for, and `reject` for rows whose folder cannot exist. */
  split(batch: Batch, take: (rows: FolderRows) => void, reject: (row: number, error: Error) => void): void {
    const kept: Batch = { ...batch, columns: this.#keptIndexes.map((index) => batch.columns[index] ?? null) }
    if (this.#rules.length === 0) return take({ folder: '', batch: kept })
    const total = batch.selected === null ? batch.rowCount : batch.selectedCount
    for (let from = 0; from < total; from += SLICE_ROWS)
      this.#splitSlice(batch, kept, from, Math.min(total, from + SLICE_ROWS), take, reject)
  }

  #splitSlice(
    batch: Batch,
    kept: Batch,
    from: number,
    to: number,
    take: (rows: FolderRows) => void,
    reject: (row: number, error: Error) => void,
  ): void {
    for (const codes of this.#codes) codes.clear()
    const columns = this.#rules.map((rule) => (rule.fieldIndex === null ? null : must(batch.columns[rule.fieldIndex], rule.name)))
    const groups = new Map<string | number, Group>()
    const groupOfRow: Group[] = []
    for (let i = from; i < to; i++) {
      const row = batch.selected === null ? i : (batch.selected[i] as number)
      const code = this.#codeOf(columns, batch.times, row)
      let group = groups.get(code)
      if (group === undefined) groups.set(code, (group = { folder: this.#folderOf(columns, batch.times, row), count: 0, end: 0 }))
      group.count++
      groupOfRow.push(group)
    }
    // One array holds the rows of all groups, each behind the one before.
    const rows = new Int32Array(to - from)
    let end = 0
    for (const group of groups.values()) {
      group.end = end
      end += group.count
    }
    groupOfRow.forEach((group, index) => {
      rows[group.end++] = batch.selected === null ? from + index : (batch.selected[from + index] as number)
    })
    const whole = groups.size === 1 && to - from === (batch.selected === null ? batch.rowCount : batch.selectedCount)
    for (const { folder, count, end: stop } of groups.values()) {
      const own = rows.subarray(stop - count, stop)
      if (folder !== null) take({ folder, batch: whole ? kept : { ...kept, selected: own, selectedCount: count } })
      else
        for (const row of own)
          reject(
            row,
            new MillraceError('MR_SINK_FOLDER_LONG', { details: { partitionBy: this.#rules.map((rule) => rule.name).join(', ') } }),
          )
    }
  }

  #codeOf(columns: readonly (Column | null)[], times: Float64Array, row: number): string | number {
    let code: string | number = (this.#codes[0] as RuleCodes).of(columns[0] ?? null, times, row)
    for (let rule = 1; rule < this.#codes.length; rule++)
      code = `${code}/${(this.#codes[rule] as RuleCodes).of(columns[rule] ?? null, times, row)}`
    return code
  }

  #folderOf(columns: readonly (Column | null)[], times: Float64Array, row: number): string | null {
    const names = this.#codes.map((codes, rule) => must(codes.folders[codes.of(columns[rule] ?? null, times, row)], 'folder'))
    return names.every((name) => Buffer.byteLength(name) <= FOLDER_NAME_SIZE_MAX) ? names.join('/') : null
  }
}
