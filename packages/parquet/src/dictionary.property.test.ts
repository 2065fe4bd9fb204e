// The dictionary against a Map, over batches whose dictionaries stay, grow, change in place or are replaced, in the same memory.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { BytesColumn } from '@millrace/core/connect'
import fc from 'fast-check'
import { ChunkDictionary } from './dictionary.ts'
import { VERSION } from './version.ts'

interface Step {
  readonly action: 'keep' | 'grow' | 'replace' | 'clear'
  readonly values: readonly string[]
  readonly picks: readonly number[]
}

const values = fc.array(fc.string({ maxLength: 6 }), { minLength: 1, maxLength: 12 })
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    action: fc.constantFrom<Step['action']>('keep', 'keep', 'grow', 'replace', 'clear'),
    values,
    picks: fc.array(fc.nat(1000), { maxLength: 40 }),
  }),
  { minLength: 1, maxLength: 12 },
)

test('ids of batches map to the values they stand for, whatever the memory of their dictionaries held before', () => {
  const memory = { offsets: new Int32Array(500), data: new Uint8Array(10_000) }
  const column: BytesColumn = { layout: 'bytes', ...memory, validity: null }
  const text = new TextEncoder()
  fc.assert(
    fc.property(steps, (list) => {
      const dictionary = new ChunkDictionary(1024 * 1024)
      let present: string[] = ['first']
      let seen = new Map<string, number>()
      list.forEach((step, index) => {
        if (step.action === 'grow') present = [...present, ...step.values]
        if (step.action === 'replace') present = [...step.values]
        if (step.action === 'clear') {
          dictionary.clear()
          seen = new Map()
        }
        present.forEach((value, id) => {
          const bytes = text.encode(value)
          const at = memory.offsets[id] as number
          memory.data.set(bytes, at)
          memory.offsets[id + 1] = at + bytes.length
        })
        const ids = Int32Array.from(step.picks, (pick) => pick % present.length)
        const target = new Int32Array(ids.length)
        assert.equal(dictionary.map(ids, null, 0, ids.length, column, present.length, index + 1, target, 0), ids.length)
        ids.forEach((id, position) => {
          const value = Buffer.from(text.encode(present[id])).toString('hex')
          if (!seen.has(value)) seen.set(value, seen.size)
          assert.equal(target[position], seen.get(value))
          const [start, end] = [dictionary.offsets[target[position] as number], dictionary.offsets[(target[position] as number) + 1]]
          assert.equal(Buffer.from(dictionary.data.subarray(start, end)).toString('hex'), value)
        })
      })
    }),
    { numRuns: 1000 },
  )
})

test('a dictionary that is full says so and stays right', () => {
  const dictionary = new ChunkDictionary(10)
  const text = new TextEncoder()
  assert.equal(dictionary.intern(text.encode('12345678'), 0, 8), 0)
  assert.equal(dictionary.intern(text.encode('abc'), 0, 3), -1)
  assert.equal(dictionary.intern(text.encode('12345678'), 0, 8), 0)
})

test('the version in the files is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string }
  assert.equal(VERSION, version)
})
