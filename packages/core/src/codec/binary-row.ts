// Binary rows: one row of columns as bytes, for internal topics and dead letters. Written and read column by column over a whole batch, so
// that each loop touches one typed array. Little endian; the reader needs the writer's fields (layoutId names them) and nothing else:
//   null bits of the nullable fields, 1 = null, in field order | fixed-width fields: first those of 8 bytes, then 4, then 1
//   | u32 end of each variable field, counted from the first one's start | the variable fields' bytes
// f64: IEEE 754. i64, time, decimal (scaled): 64-bit integer. i32, bool: 4 and 1 bytes. string, bytes, json: their bytes. list, struct and
// variant: tagged (tagged.ts). A null field has zeros or no bytes. Rows have no alignment.
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { columnBuilder, promote } from './column-builder.ts'
import { columnValue } from './column-value.ts'
import type { Column, Field, FieldType } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { layoutId } from './layout-id.ts'
import { TaggedReader, writeTagged } from './tagged.ts'

export type Lane = 'f64' | 'int' | 'i32' | 'bool' | 'bytes' | 'tagged'

function laneOf(type: FieldType): Lane {
  switch (type.kind) {
    case 'f64':
      return 'f64'
    case 'i64':
    case 'time':
    case 'decimal':
      return 'int'
    case 'i32':
    case 'bool':
      return type.kind
    case 'string':
    case 'bytes':
    case 'json':
      return 'bytes'
    default:
      return 'tagged'
  }
}

const LANE_BYTES: Readonly<Record<Lane, number>> = { f64: 8, int: 8, i32: 4, bool: 1, bytes: 0, tagged: 0 }

export interface Place {
  readonly field: Field
  readonly lane: Lane
  /** Offset from the row's start: of the value, or of the u32 end for a variable field. */
  readonly at: number
  /** Number among the variable fields, -1 for others. */
  readonly variable: number
  /** Bit number in the null bits, -1 when the field is not nullable. */
  readonly nullBit: number
}

/** Where each field lies, and the width of the part before the variable bytes. */
export function places(fields: readonly Field[]): { readonly places: readonly Place[]; readonly fixedBytes: number } {
  let nullBits = 0
  const bits = fields.map((field) => (field.nullable ? nullBits++ : -1))
  let at = (nullBits + 7) >> 3
  const starts = new Map<number, number>()
  for (const width of [8, 4, 1]) {
    fields.forEach((field, index) => {
      if (LANE_BYTES[laneOf(field.type)] !== width) return
      starts.set(index, at)
      at += width
    })
  }
  let variable = 0
  const result = fields.map((field, index): Place => {
    const lane = laneOf(field.type)
    const fixed = starts.get(index)
    const own = fixed === undefined ? variable++ : -1
    return { field, lane, at: fixed ?? at + own * 4, variable: own, nullBit: must(bits[index], 'bit') }
  })
  return { places: result, fixedBytes: at + variable * 4 }
}

/** Encodes rows; row i of the last call is bytes[offsets[i] .. offsets[i + 1]), valid until the next call. */
export class RowWriter {
  readonly layoutId: string
  bytes: Uint8Array = new Uint8Array(4096)
  offsets: Int32Array = new Int32Array(1025)
  #view = new DataView(this.bytes.buffer)
  #cursors = new Int32Array(1024)
  readonly #places: readonly Place[]
  readonly #fixedBytes: number

  constructor(fields: readonly Field[]) {
    this.layoutId = layoutId(fields)
    const layout = places(fields)
    this.#places = layout.places
    this.#fixedBytes = layout.fixedBytes
  }

  /** Encodes `count` rows: those numbered in `rows`, or 0..count-1 when it is null. A column that is null counts as nulls. */
  encode(columns: readonly (Column | null)[], rows: Int32Array | null, count: number): void {
    if (this.offsets.length <= count) {
      this.offsets = new Int32Array(count * 2 + 1)
      this.#cursors = new Int32Array(count * 2)
    }
    const tagged = this.#places.map((place, index) =>
      place.lane === 'tagged' ? taggedBytes(columns[index] ?? null, place.field.type, rows, count) : (columns[index] ?? null),
    )
    const total = this.#measure(tagged, rows, count)
    if (this.bytes.length < total) {
      this.bytes = new Uint8Array(Math.max(total, this.bytes.length * 2))
      this.#view = new DataView(this.bytes.buffer)
    } else this.bytes.fill(0, 0, total)
    this.#places.forEach((place, index) => {
      const column = tagged[index] ?? null
      // Tagged columns were built row by row and are dense.
      const own = place.lane === 'tagged' ? null : rows
      if (place.nullBit >= 0) this.#nulls(place, column, own, count)
      if (column === null) {
        if (!place.field.nullable)
          throw new MillraceError('MR_CODEC_UNSUPPORTED', { message: `no column for the required field \`${place.field.name}\`.` })
        if (place.variable >= 0) this.#emptyEnds(place, count)
      } else this.#values(place, column, own, count)
    })
  }

  #measure(columns: readonly (Column | null)[], rows: Int32Array | null, count: number): number {
    const offsets = this.offsets
    const cursors = this.#cursors
    cursors.fill(this.#fixedBytes, 0, count)
    this.#places.forEach((place, index) => {
      const column = columns[index] ?? null
      if (place.variable >= 0 && column !== null) addLengths(column, place.lane === 'tagged' ? null : rows, count, cursors)
    })
    let at = 0
    for (let i = 0; i < count; i++) {
      offsets[i] = at
      const size = cursors[i] as number
      cursors[i] = at + this.#fixedBytes
      at += size
    }
    offsets[count] = at
    return at
  }

  #nulls(place: Place, column: Column | null, rows: Int32Array | null, count: number): void {
    if (column !== null && column.validity === null) return
    const byte = place.nullBit >> 3
    const bit = 1 << (place.nullBit & 7)
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      if (column !== null && column.validity !== null && column.validity[row] === 1) continue
      const at = (this.offsets[i] as number) + byte
      this.bytes[at] = (this.bytes[at] as number) | bit
    }
  }

  #emptyEnds(place: Place, count: number): void {
    for (let i = 0; i < count; i++) {
      const start = this.offsets[i] as number
      this.#view.setUint32(start + place.at, (this.#cursors[i] as number) - start - this.#fixedBytes, true)
    }
  }

  #values(place: Place, column: Column, rows: Int32Array | null, count: number): void {
    const { offsets, bytes } = this
    const view = this.#view
    const at = place.at
    const validity = column.validity
    switch (column.layout) {
      case 'bool': {
        const values = column.values
        for (let i = 0; i < count; i++) bytes[(offsets[i] as number) + at] = values[rows === null ? i : (rows[i] as number)] as number
        return
      }
      case 'i32': {
        const values = column.values
        for (let i = 0; i < count; i++)
          view.setInt32((offsets[i] as number) + at, values[rows === null ? i : (rows[i] as number)] as number, true)
        return
      }
      case 'f64':
        return this.#numbers(place, column.values, validity, rows, count)
      case 'i64': {
        const values = column.values
        for (let i = 0; i < count; i++) {
          const value = values[rows === null ? i : (rows[i] as number)] as bigint
          if (place.lane === 'f64') view.setFloat64((offsets[i] as number) + at, Number(value), true)
          else view.setBigInt64((offsets[i] as number) + at, value, true)
        }
        return
      }
      case 'bytes':
        return this.#slices(at, column.data, column.offsets, column.offsets, 1, null, validity, rows, count)
      case 'slice':
        return this.#slices(at, column.data, column.starts, column.ends, 0, null, validity, rows, count)
      case 'dictionary':
        return this.#slices(
          at,
          column.dictionary.data,
          column.dictionary.offsets,
          column.dictionary.offsets,
          1,
          column.ids,
          validity,
          rows,
          count,
        )
      default:
        throw new TypeError(`a column of layout ${column.layout} is written tagged`)
    }
  }

  /** Doubles as they are, or as the integers that they stand for. */
  #numbers(place: Place, values: Float64Array, validity: Uint8Array | null, rows: Int32Array | null, count: number): void {
    const { offsets, bytes } = this
    const view = this.#view
    const at = place.at
    if (place.lane === 'f64') {
      for (let i = 0; i < count; i++)
        view.setFloat64((offsets[i] as number) + at, values[rows === null ? i : (rows[i] as number)] as number, true)
      return
    }
    if (place.lane === 'i32' || place.lane === 'bool') {
      // A store keeps these kinds as f64.
      for (let i = 0; i < count; i++) {
        const value = values[rows === null ? i : (rows[i] as number)] as number
        if (place.lane === 'i32') view.setInt32((offsets[i] as number) + at, value, true)
        else bytes[(offsets[i] as number) + at] = value
      }
      return
    }
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      if (validity !== null && validity[row] !== 1) continue
      const value = values[row] as number
      const high = Math.floor(value / 4294967296)
      const start = (offsets[i] as number) + at
      view.setInt32(start, value - high * 4294967296, true)
      view.setInt32(start + 4, high, true)
    }
  }

  #slices(
    at: number,
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    shift: number,
    ids: Int32Array | null,
    validity: Uint8Array | null,
    rows: Int32Array | null,
    count: number,
  ): void {
    const { offsets, bytes } = this
    const view = this.#view
    const cursors = this.#cursors
    const fixedBytes = this.#fixedBytes
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      let to = cursors[i] as number
      if (validity === null || validity[row] === 1) {
        const entry = ids === null ? row : (ids[row] as number)
        const from = starts[entry] as number
        const end = ends[entry + shift] as number
        if (end - from <= 24) for (let j = from; j < end; j++) bytes[to++] = data[j] as number
        else {
          bytes.set(data.subarray(from, end), to)
          to += end - from
        }
        cursors[i] = to
      }
      const start = offsets[i] as number
      view.setUint32(start + at, to - start - fixedBytes, true)
    }
  }
}

function addLengths(column: Column, rows: Int32Array | null, count: number, sizes: Int32Array): void {
  const validity = column.validity
  const ids = column.layout === 'dictionary' ? column.ids : null
  const bytes = column.layout === 'dictionary' ? column.dictionary : column
  if (bytes.layout !== 'bytes' && bytes.layout !== 'slice') throw new TypeError(`a column of layout ${column.layout} holds no bytes`)
  const starts = bytes.layout === 'bytes' ? bytes.offsets : bytes.starts
  const ends = bytes.layout === 'bytes' ? bytes.offsets : bytes.ends
  const shift = bytes.layout === 'bytes' ? 1 : 0
  for (let i = 0; i < count; i++) {
    const row = rows === null ? i : (rows[i] as number)
    if (validity !== null && validity[row] !== 1) continue
    const entry = ids === null ? row : (ids[row] as number)
    sizes[i] = (sizes[i] as number) + (ends[entry + shift] as number) - (starts[entry] as number)
  }
}

/** The selected rows of a nested column as a dense bytes column of tagged values. */
function taggedBytes(column: Column | null, type: FieldType, rows: Int32Array | null, count: number): Column | null {
  if (column === null) return null
  const into = new GrowingBytes()
  const offsets = new Int32Array(count + 1)
  const validity = column.validity === null ? null : new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const row = rows === null ? i : (rows[i] as number)
    if (validity !== null) validity[i] = column.validity?.[row] as number
    if (validity === null || validity[i] === 1) writeTagged(into, columnValue(column, type, row))
    offsets[i + 1] = into.at
  }
  return { layout: 'bytes', offsets, data: into.bytes, validity }
}

const SAFE = Number.MAX_SAFE_INTEGER

/** Decodes rows into columns. The columns' arrays are reused by the next call; string columns are slices of the given bytes. */
export class RowReader {
  readonly layoutId: string
  readonly #places: readonly Place[]
  readonly #fixedBytes: number
  readonly #arrays: { f64: Float64Array; i32: Int32Array; ends: Int32Array; u8: Uint8Array; validity: Uint8Array }[]

  constructor(fields: readonly Field[]) {
    this.layoutId = layoutId(fields)
    const layout = places(fields)
    this.#places = layout.places
    this.#fixedBytes = layout.fixedBytes
    this.#arrays = fields.map(() => ({
      f64: new Float64Array(0),
      i32: new Int32Array(0),
      ends: new Int32Array(0),
      u8: new Uint8Array(0),
      validity: new Uint8Array(0),
    }))
  }

  /** Row i is bytes[starts[i] .. ends[i]). Throws `MR_CODEC_BATCH_CORRUPT` when a row does not have this layout's shape. */
  decode(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): Column[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const fixedBytes = this.#fixedBytes
    for (let i = 0; i < count; i++) {
      const start = starts[i] as number
      const end = ends[i] as number
      if (start < 0 || end > bytes.length || end - start < fixedBytes)
        corrupt(`row ${i} has ${end - start} bytes, its layout at least ${fixedBytes}.`)
    }
    return this.#places.map((place, index) => {
      const validity = this.#validity(place, index, bytes, starts, count)
      switch (place.lane) {
        case 'f64':
          return { layout: 'f64', values: this.#floats(place.at, index, view, starts, count), validity }
        case 'int':
          return this.#integers(place.at, index, view, starts, count, validity)
        case 'i32': {
          const values = this.#room(index, 'i32', count)
          for (let i = 0; i < count; i++) values[i] = view.getInt32((starts[i] as number) + place.at, true)
          return { layout: 'i32', values, validity }
        }
        case 'bool': {
          const values = this.#room(index, 'u8', count)
          for (let i = 0; i < count; i++) values[i] = bytes[(starts[i] as number) + place.at] as number
          return { layout: 'bool', values, validity }
        }
        default:
          return this.#variable(place, index, bytes, view, starts, ends, count, validity)
      }
    })
  }

  #room<K extends 'f64' | 'i32' | 'ends' | 'u8' | 'validity'>(
    index: number,
    kind: K,
    count: number,
  ): { f64: Float64Array; i32: Int32Array; ends: Int32Array; u8: Uint8Array; validity: Uint8Array }[K] {
    const arrays = must(this.#arrays[index], 'arrays')
    if (arrays[kind].length < count) {
      const room = count * 2
      if (kind === 'f64') arrays.f64 = new Float64Array(room)
      else if (kind === 'i32') arrays.i32 = new Int32Array(room)
      else if (kind === 'ends') arrays.ends = new Int32Array(room)
      else if (kind === 'u8') arrays.u8 = new Uint8Array(room)
      else arrays.validity = new Uint8Array(room)
    }
    return arrays[kind]
  }

  #validity(place: Place, index: number, bytes: Uint8Array, starts: Int32Array, count: number): Uint8Array | null {
    if (place.nullBit < 0) return null
    const byte = place.nullBit >> 3
    const shift = place.nullBit & 7
    const validity = this.#room(index, 'validity', count)
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const isNull = ((bytes[(starts[i] as number) + byte] as number) >> shift) & 1
      validity[i] = isNull ^ 1
      nulls += isNull
    }
    return nulls === 0 ? null : validity
  }

  #floats(at: number, index: number, view: DataView, starts: Int32Array, count: number): Float64Array {
    const values = this.#room(index, 'f64', count)
    for (let i = 0; i < count; i++) values[i] = view.getFloat64((starts[i] as number) + at, true)
    return values
  }

  #integers(at: number, index: number, view: DataView, starts: Int32Array, count: number, validity: Uint8Array | null): Column {
    const values = this.#room(index, 'f64', count)
    let beyond = 0
    for (let i = 0; i < count; i++) {
      const from = (starts[i] as number) + at
      const value = view.getInt32(from + 4, true) * 4294967296 + view.getUint32(from, true)
      values[i] = value
      if (value > SAFE || value < -SAFE) beyond++
    }
    if (beyond === 0) return { layout: 'f64', values, validity }
    const big = new Map<number, bigint>()
    for (let i = 0; i < count; i++) if (!Number.isSafeInteger(values[i])) big.set(i, view.getBigInt64((starts[i] as number) + at, true))
    return { layout: 'i64', values: promote(values, count, big), validity }
  }

  #variable(
    place: Place,
    index: number,
    bytes: Uint8Array,
    view: DataView,
    starts: Int32Array,
    ends: Int32Array,
    count: number,
    validity: Uint8Array | null,
  ): Column {
    const from = this.#room(index, 'i32', count)
    const to = this.#room(index, 'ends', count)
    const first = place.variable === 0
    for (let i = 0; i < count; i++) {
      const start = starts[i] as number
      const base = start + this.#fixedBytes
      const valueStart = first ? base : base + view.getUint32(start + place.at - 4, true)
      const valueEnd = base + view.getUint32(start + place.at, true)
      if (valueStart > valueEnd || valueEnd > (ends[i] as number)) corrupt(`row ${i} has a field that ends outside it.`)
      from[i] = valueStart
      to[i] = valueEnd
    }
    if (place.lane === 'bytes') return { layout: 'slice', starts: from, ends: to, data: bytes, validity }
    const builder = columnBuilder(place.field.type)
    for (let i = 0; i < count; i++) {
      const present = validity === null || validity[i] === 1
      builder.append(present ? new TaggedReader(bytes, from[i] as number, to[i] as number).read() : null)
    }
    return builder.finish()
  }
}

function corrupt(message: string): never {
  throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message })
}

/** A writer of binary rows with these fields. */
export function rowWriter(fields: readonly Field[]): RowWriter {
  return new RowWriter(fields)
}

/** A reader of binary rows with these fields. */
export function rowReader(fields: readonly Field[]): RowReader {
  return new RowReader(fields)
}
