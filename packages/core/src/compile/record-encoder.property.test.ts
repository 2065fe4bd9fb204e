// Keys of records, over random columns, against JSON.stringify of the values: one text field is its text, anything else is JSON.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Column, Field, FieldType } from '../codec/column.ts'
import { columnValue } from '../codec/column-value.ts'
import { jsonText } from '../codec/json/exact.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { recordEncoder } from './record-encoder.ts'

const encoder = new TextEncoder()

function bytesOf(values: readonly (string | null)[]): Column {
  const parts = values.map((value) => encoder.encode(value ?? ''))
  const offsets = new Int32Array(values.length + 1)
  for (const [index, part] of parts.entries()) offsets[index + 1] = (offsets[index] as number) + part.length
  const validity = Uint8Array.from(values, (value) => (value === null ? 0 : 1))
  return { layout: 'bytes', offsets, data: new Uint8Array(Buffer.concat(parts)), validity }
}

function numbersOf(values: readonly (number | null)[]): Column {
  return {
    layout: 'f64',
    values: Float64Array.from(values, (value) => value ?? 0),
    validity: Uint8Array.from(values, (value) => (value === null ? 0 : 1)),
  }
}

function bigOf(values: readonly (bigint | null)[]): Column {
  return {
    layout: 'i64',
    values: BigInt64Array.from(values, (value) => value ?? 0n),
    validity: Uint8Array.from(values, (value) => (value === null ? 0 : 1)),
  }
}

const ROWS = 5
const nullable = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
  fc.array(fc.option(values), { minLength: ROWS, maxLength: ROWS })
const whole = fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 })
const columnArbitrary: fc.Arbitrary<{ readonly type: FieldType; readonly column: Column }> = fc.oneof(
  nullable(fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())).map((values) => ({
    type: { kind: 'string' } as const,
    column: bytesOf(values),
  })),
  nullable(whole).map((values) => ({ type: { kind: 'i64' } as const, column: numbersOf(values) })),
  nullable(whole).map((values) => ({ type: { kind: 'time' } as const, column: numbersOf(values) })),
  nullable(fc.double({ noNaN: true, noDefaultInfinity: true })).map((values) => ({
    type: { kind: 'f64' } as const,
    column: numbersOf(values),
  })),
  nullable(whole).map((values) => ({ type: { kind: 'decimal', precision: 18, scale: 3 } as const, column: numbersOf(values) })),
  nullable(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map((values) => ({
    type: { kind: 'i64', big: true } as const,
    column: bigOf(values),
  })),
)

test('a key is the text of a single text field, else JSON of the key fields; null where a single field is null', () => {
  fc.assert(
    fc.property(fc.array(columnArbitrary, { minLength: 1, maxLength: 3 }), (parts) => {
      const fields: readonly Field[] = parts.map(({ type }, index) => ({ name: `f${index}`, type, nullable: true }))
      const topic = { kind: 'topic', name: 'out', keyField: null } as unknown as AnyTopic
      const spec = {
        kind: 'topic',
        name: 'out',
        topic,
        partitions: 1,
        fields,
        key: fields.map(({ name }) => name),
        mode: 'append',
      } as const
      const batch: Batch = {
        rowCount: ROWS,
        columns: parts.map(({ column }) => column),
        values: null,
        times: new Float64Array(ROWS),
        weights: null,
        selected: null,
        selectedCount: ROWS,
        origin: null,
        originRows: null,
      }
      const rows = Int32Array.from({ length: ROWS }, (_, row) => row)
      const encoded = recordEncoder({ ...spec, passThrough: false } as unknown as Parameters<typeof recordEncoder>[0], true).encode(
        batch,
        rows,
        ROWS,
        () => assert.fail('nothing is refused'),
      )
      for (let row = 0; row < ROWS; row++) {
        const values = parts.map(({ type, column }) => columnValue(column, type, row))
        const [single] = values
        const expected =
          values.length > 1 ? jsonText(values) : single === null ? null : typeof single === 'string' ? single : jsonText(single)
        const start = encoded.keyStarts[row] as number
        const found = start < 0 ? null : Buffer.from(encoded.keys).toString('utf8', start, encoded.keyEnds[row])
        assert.equal(found, expected)
      }
    }),
    { numRuns: 500 },
  )
})
