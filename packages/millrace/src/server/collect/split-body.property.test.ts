// Law: splitting never changes a byte and sees what JSON.parse sees.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodySplitter } from './split-body.ts'

const splitter = new BodySplitter()

function events(body: Buffer, form: 'detect' | 'lines'): readonly string[] {
  splitter.split(body, form)
  return Array.from({ length: splitter.count }, (_, row) => body.toString('utf8', splitter.starts[row], splitter.ends[row]))
}

const space = fc.constantFrom('', ' ', '\n', '\t', '\r\n', '  \n ')
/** Texts full of what could mislead a splitter. */
const odd = fc.string({ unit: fc.constantFrom('[', ']', '{', '}', ',', '"', '\\', '\n', ':', 'é', '😀', 'a', '\u0000') })
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    odd,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, false),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(odd, tie('any'), { maxKeys: 4 }),
  ),
})).any

test('an array splits exactly as JSON.parse sees it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, space, space)), space, (items, around) => {
      const texts = items.map(([item]) => JSON.stringify(item))
      const body = `${around}[${around}${items.map(([, before, behind], index) => `${before}${texts[index] as string}${behind}`).join(',')}]${around}`
      assert.deepEqual(events(Buffer.from(body), 'detect'), texts)
      assert.deepEqual(
        texts.map((text) => JSON.parse(text) as unknown),
        JSON.parse(body),
      )
    }),
    { numRuns: 500 },
  )
})

test('lines are the documents that were joined, whatever they hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.constantFrom('\n', '\r\n', '\n\n', ' \n')), { minLength: 2 }), (items) => {
      const texts = items.map(([item]) => JSON.stringify(item))
      const body = Buffer.from(items.map(([, end], index) => `${texts[index] as string}${end}`).join(''))
      assert.deepEqual(events(body, 'lines'), texts)
      // Without a content type too: the first document is whole and more follows behind a line end.
      assert.deepEqual(events(body, 'detect'), texts)
    }),
    { numRuns: 500 },
  )
})

test('any bytes at all: ranges are inside, ascending, and leave out nothing but separators', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('detect' as const, 'lines' as const), (bytes, form) => {
      const body = Buffer.from(bytes)
      splitter.split(body, form)
      let at = 0
      for (let row = 0; row < splitter.count; row++) {
        const start = splitter.starts[row] as number
        const end = splitter.ends[row] as number
        assert.ok(start >= at && end > start && end <= body.length)
        if (splitter.shape !== 'array')
          for (let gap = at; gap < start; gap++) assert.ok((body[gap] as number) <= 32 || (gap < 3 && at === 0))
        at = end
      }
    }),
    { numRuns: 2000 },
  )
})
