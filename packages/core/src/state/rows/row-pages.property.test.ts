// Pages against a list of rows per chain: rows come zeroed, whatever memory they had before, and keep what was written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { layoutOf } from './layout.ts'
import { rowFormat } from './row-format.ts'
import { newChain, type PageChain, RowPages } from './row-pages.ts'

const FORMAT = rowFormat(
  layoutOf(
    'windows',
    [{ name: 'start', type: { kind: 'time' }, nullable: false }],
    [{ name: 'n', type: { kind: 'i64' }, nullable: false }],
  ),
)

test('rows are zero when they are handed out and nobody else writes to them, while chains of many pages come and go', () => {
  const step = fc.oneof(fc.record({ chain: fc.nat(3), rows: fc.oneof(fc.nat(50), fc.nat(9_000)) }), fc.record({ release: fc.nat(3) }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const pages = new RowPages(FORMAT, true)
      const chains: PageChain[] = Array.from({ length: 4 }, newChain)
      const slots: number[][] = [[], [], [], []]
      let mark = 1
      const marks = new Map<number, number>()
      for (const one of steps) {
        if ('release' in one) {
          pages.releaseChain(chains[one.release] as PageChain)
          for (const slot of slots[one.release] ?? []) marks.delete(slot)
          slots[one.release] = []
          continue
        }
        for (let row = 0; row < one.rows; row++) {
          const slot = pages.allocate(chains[one.chain] as PageChain)
          const [words, at] = rowOf(pages, slot)
          let sum = 0
          for (let word = at; word < at + pages.stride; word++) sum |= words[word] as number
          assert.equal(sum, 0)
          assert.ok(!marks.has(slot))
          words.fill(mark, at, at + pages.stride)
          marks.set(slot, mark++)
          slots[one.chain]?.push(slot)
        }
      }
      for (const [slot, expected] of marks) {
        const [words, at] = rowOf(pages, slot)
        assert.equal(words[at], expected)
        assert.equal(words[at + pages.stride - 1], expected)
      }
    }),
    { numRuns: 60 },
  )
})

test('as much memory is kept as was needed of late', () => {
  const pages = new RowPages(FORMAT, true)
  const fill = (rows: number): void => {
    const chain = newChain()
    for (let row = 0; row < rows; row++) pages.allocate(chain)
    pages.releaseChain(chain)
  }
  fill(100_000)
  const large = pages.bytes()
  assert.ok(large > 50_000 * pages.stride * 4)
  fill(100_000)
  assert.equal(pages.bytes(), large)
  for (let round = 0; round < 12; round++) fill(100)
  assert.ok(pages.bytes() < large / 100)
})

function rowOf(pages: RowPages, slot: number): [Int32Array, number] {
  return [pages.words[slot >>> pages.pageBits] as Int32Array, (slot & pages.pageMask) * pages.stride]
}
