// Random schemas and rows for the property tests of this folder.
import fc from 'fast-check'
import type { Column, Field, FieldType } from './column.ts'

const safe = fc.oneof(fc.integer(), fc.maxSafeInteger())
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
  fc.constantFrom('', '"', '\\', '\n', '\u0000', 'é', '😀', '__proto__'),
)

export const leafType: fc.Arbitrary<FieldType> = fc.oneof(
  fc.constantFrom<FieldType>(
    { kind: 'bool' },
    { kind: 'i32' },
    { kind: 'i64' },
    { kind: 'i64', big: true },
    { kind: 'f64' },
    { kind: 'time' },
    { kind: 'string' },
    { kind: 'bytes' },
  ),
  fc
    .tuple(fc.integer({ min: 1, max: 18 }), fc.nat())
    .map(([precision, scale]): FieldType => ({ kind: 'decimal', precision, scale: scale % (precision + 1) })),
)

const name = fc
  .oneof(
    fc.constantFrom('id', 'price', 'a', 'b', 'x"y', 'ключ', 'a\\b', 'constructor', 'toString'),
    fc.string({ minLength: 1, maxLength: 9 }),
  )
  .filter((value) => value !== '__proto__')

function fieldsOfTypes(type: fc.Arbitrary<FieldType>, max: number): fc.Arbitrary<Field[]> {
  return fc
    .uniqueArray(fc.record({ name, type, nullable: fc.boolean() }), { minLength: 1, maxLength: max, selector: (field) => field.name })
    .map((fields) => fields.map((field) => (field.type.kind === 'json' ? { ...field, nullable: true } : field)))
}

export const leafFields: fc.Arbitrary<Field[]> = fieldsOfTypes(leafType, 6)

/** Leaf kinds, json, and lists and structs of them. */
export const anyFields: fc.Arbitrary<Field[]> = fieldsOfTypes(
  fc.oneof(
    { weight: 5, arbitrary: leafType },
    { weight: 1, arbitrary: fc.constant<FieldType>({ kind: 'json' }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('list' as const), item: leafType, itemNullable: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('struct' as const), fields: fieldsOfTypes(leafType, 3) }) },
  ),
  6,
)

/** A value of the kind, as lambdas see it. */
export function valueOf(type: FieldType, nullable: boolean): fc.Arbitrary<unknown> {
  const value = presentValue(type)
  return nullable ? fc.option(value, { nil: null, freq: 4 }) : value
}

function presentValue(type: FieldType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean()
    case 'i32':
      return fc.integer()
    case 'i64':
      return type.big === true ? fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.integer().map(BigInt)) : safe
    case 'time':
      return safe
    case 'f64':
      return fc.oneof(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        safe,
        fc.integer().map((cents) => cents / 100),
      )
    case 'decimal':
      return fc.bigInt({ min: -(10n ** BigInt(type.precision)) + 1n, max: 10n ** BigInt(type.precision) - 1n }).map((scaled) => {
        const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(type.scale + 1, '0')
        const point = digits.length - type.scale
        return `${scaled < 0n ? '-' : ''}${digits.slice(0, point)}${type.scale > 0 ? `.${digits.slice(point)}` : ''}`
      })
    case 'string':
      return text
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 })
    case 'list':
      return fc.array(valueOf(type.item, type.itemNullable), { maxLength: 5 })
    case 'struct':
      return rowOf(type.fields)
    default:
      return fc
        .jsonValue({ maxDepth: 2 })
        .filter((value) => value !== null && !JSON.stringify(value).includes('__proto__'))
        .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
  }
}

export function rowOf(fields: readonly Field[]): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .tuple(...fields.map((field) => valueOf(field.type, field.nullable)))
    .map((values) => Object.fromEntries(fields.map((field, index) => [field.name, values[index]])))
}

/** Another layout of the same bytes column: slices, or a dictionary. */
export function relayout(column: Column, layout: 'slice' | 'dictionary' | 'bytes', count: number): Column {
  if (column.layout !== 'bytes' || layout === 'bytes') return column
  const { offsets, data, validity } = column
  if (layout === 'slice') return { layout, starts: offsets.slice(0, count), ends: offsets.slice(1, count + 1), data, validity }
  // Every row is its own entry, in reverse order, so that ids differ from rows.
  const order = Array.from({ length: count }, (_, i) => count - 1 - i)
  const copied = new Uint8Array(data.length)
  const dictionaryOffsets = new Int32Array(count + 1)
  let at = 0
  order.forEach((row, id) => {
    const part = data.subarray(offsets[row], offsets[row + 1])
    copied.set(part, at)
    at += part.length
    dictionaryOffsets[id + 1] = at
  })
  return {
    layout,
    ids: Int32Array.from(order),
    dictionary: { layout: 'bytes', offsets: dictionaryOffsets, data: copied, validity: null },
    dictionaryCount: count,
    validity,
  }
}
