// Laws: the size is at least that of the texts and bytes in the value, at most a small multiple of its JSON, and a limit ends the walk.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { valueBytes } from './value-size.ts'

/** The obvious way. */
function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, part: unknown) => sum + textLength(part), 0)
}

test('texts count by their length, other values a little', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const bytes = valueBytes(value, Number.MAX_SAFE_INTEGER)
      assert.ok(bytes >= textLength(value))
      assert.ok(bytes <= 16 * (JSON.stringify(value).length + 1), `${bytes}`)
    }),
  )
})

test('what has no end is not walked to it, and what throws harms nobody', () => {
  const circle: Record<string, unknown> = { text: 'abc' }
  circle['self'] = circle
  assert.ok(valueBytes(circle, 10_000) > 10_000)
  assert.ok(valueBytes(circle, 10_000) < 11_000)
  assert.ok(
    valueBytes(
      Array.from({ length: 1_000_000 }, () => 0),
      100,
    ) < 200,
  )
  assert.equal(valueBytes(new Uint8Array(1000), 10_000), 1008)
  const trap = Object.defineProperty({}, 'x', {
    enumerable: true,
    get() {
      throw new Error('no')
    },
  })
  assert.ok(valueBytes(trap, 100) > 0)
})
