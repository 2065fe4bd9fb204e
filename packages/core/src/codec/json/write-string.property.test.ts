// Law: a string is written as JSON.stringify writes it, byte by byte or four at a time, wherever it lies in its array.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringBytesMax, writePlainString, writeString } from './write-string.ts'

const characters = fc.constantFrom('a', 'Z', ' ', '!', '"', '#', '[', '\\', ']', '\u0000', '\t', '\n', '\u001f', '\u007f', 'é', '€', '😀')
const texts = fc.oneof(fc.string({ unit: characters, maxLength: 40 }), fc.string({ unit: fc.constantFrom('a', '"', 'é'), maxLength: 12 }))

test('a string is written as JSON.stringify writes it', () => {
  fc.assert(
    fc.property(texts, fc.nat(9), fc.nat(9), (text, before, at) => {
      const value = Buffer.from(text)
      const data = new Uint8Array(before + value.length + 3).fill(34)
      data.set(value, before)
      const bytes = new Uint8Array(at + stringBytesMax(value.length))
      const end = before + value.length
      const plain = writePlainString(bytes, new DataView(bytes.buffer), at, data, new DataView(data.buffer), before, end)
      assert.equal(Buffer.from(bytes.subarray(at, plain)).toString(), JSON.stringify(text))
      assert.equal(writeString(bytes, at, data, before, end), plain)
      assert.equal(Buffer.from(bytes.subarray(at, plain)).toString(), JSON.stringify(text))
    }),
    { numRuns: 3000 },
  )
})
