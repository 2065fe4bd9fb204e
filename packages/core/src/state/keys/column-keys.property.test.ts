// Every way from key columns to slots gives the slots of the encoded bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BytesColumn, Column, DictionaryColumn, Field, FieldType } from '../../codec/column.ts'
import { KeyWriter } from '../../codec/key-bytes.ts'
import { layoutOf } from '../rows/layout.ts'
import { createTableStore } from '../table-store.ts'

const encoder = new TextEncoder()

function field(name: string, type: FieldType, nullable = false): Field {
  return { name, type, nullable }
}

function bytesColumn(values: readonly string[]): BytesColumn {
  const encoded = values.map((value) => encoder.encode(value))
  const offsets = new Int32Array(values.length + 1)
  encoded.forEach((bytes, index) => (offsets[index + 1] = (offsets[index] as number) + bytes.length))
  return { layout: 'bytes', offsets, data: new Uint8Array(encoded.flatMap((bytes) => [...bytes])), validity: null }
}

function check(fields: readonly Field[], batches: readonly { readonly columns: readonly Column[]; readonly count: number }[]): void {
  const layout = layoutOf('s', fields, [field('v', { kind: 'f64' })])
  const [fast, slow] = [createTableStore(layout), createTableStore(layout)]
  const writer = new KeyWriter(fields)
  for (const { columns, count } of batches) {
    // Every second row, in an order of its own.
    for (const rows of [null, Int32Array.from({ length: count >> 1 }, (_, index) => count - 1 - index * 2)]) {
      const used = rows === null ? count : rows.length
      const slots = new Int32Array(used)
      fast.findColumns(columns, rows, used, slots)
      const before = [...slots]
      fast.findOrInsertColumns(columns, rows, used, slots)
      writer.encode(columns, rows, used)
      for (let i = 0; i < used; i++) {
        const [start, end] = [writer.offsets[i] as number, writer.offsets[i + 1] as number]
        const earlier = slow.find(writer.bytes, start, end)
        const slot = slow.findOrInsert(writer.bytes, start, end)
        assert.deepEqual([slots[i], fast.find(writer.bytes, start, end)], [slot, slot])
        if (earlier >= 0 && !slots.slice(0, i).includes(slot)) assert.equal(before[i], earlier)
        assert.deepEqual(fast.read(slot).key(), writer.bytes.slice(start, end))
      }
    }
  }
}

test('one number: whole, fractional, negative, zero of both signs, not a number', () => {
  const whole = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.maxSafeInteger()).map((value) => value + 0)
  const any = fc.oneof(whole, fc.double(), fc.constantFrom(0, -0, NaN, Infinity, -Infinity))
  const kinds: readonly (readonly [FieldType, fc.Arbitrary<number>])[] = [
    [{ kind: 'i64' }, whole],
    [{ kind: 'time' }, whole],
    [{ kind: 'decimal', precision: 18, scale: 2 }, whole],
    [{ kind: 'f64' }, any],
  ]
  for (const [type, values] of kinds) {
    fc.assert(
      fc.property(fc.array(fc.array(values, { maxLength: 40 }), { maxLength: 4 }), (batches) => {
        check(
          [field('k', type)],
          batches.map((batch) => ({ columns: [{ layout: 'f64', values: Float64Array.from(batch), validity: null }], count: batch.length })),
        )
      }),
    )
  }
})

test('one string: as bytes, and by a dictionary with entries that do not occur', () => {
  const words = fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.array(fc.tuple(words, fc.array(fc.nat(), { maxLength: 40 }), fc.boolean()), { maxLength: 5 }), (batches) => {
      check(
        [field('k', { kind: 'string' })],
        batches.map(([entries, picks, asDictionary]) => {
          const distinct = [...new Set(entries)]
          const ids = Int32Array.from(picks, (pick) => pick % distinct.length)
          const dictionary: DictionaryColumn = {
            layout: 'dictionary',
            ids,
            dictionary: bytesColumn(distinct),
            dictionaryCount: distinct.length,
            validity: null,
          }
          return { columns: [asDictionary ? dictionary : bytesColumn(Array.from(ids, (id) => distinct[id] as string))], count: ids.length }
        }),
      )
    }),
  )
})

test('several columns', () => {
  const row = fc.tuple(fc.string({ maxLength: 30 }), fc.integer({ min: -3, max: 3 }))
  fc.assert(
    fc.property(fc.array(fc.array(row, { maxLength: 30 }), { maxLength: 4 }), (batches) => {
      check(
        [field('a', { kind: 'string' }), field('b', { kind: 'time' })],
        batches.map((rows) => ({
          columns: [bytesColumn(rows.map(([a]) => a)), { layout: 'f64', values: Float64Array.from(rows, ([, b]) => b), validity: null }],
          count: rows.length,
        })),
      )
    }),
  )
})
