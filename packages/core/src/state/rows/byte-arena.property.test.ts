import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../base/random.ts'
import { ByteArena } from './byte-arena.ts'

test('blocks keep their bytes until they are freed, whatever else comes and goes', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = seededRandom(seed)
      const arena = new ByteArena()
      const blocks: { reference: number; bytes: Uint8Array }[] = []
      for (let step = 0; step < 400; step++) {
        if (blocks.length > 0 && random.chance(0.45)) {
          const [block] = blocks.splice(random.below(blocks.length), 1)
          assert(block !== undefined)
          arena.free(block.reference, block.bytes.length)
          continue
        }
        const size = random.chance(0.02) ? 300_000 + random.below(900_000) : random.chance(0.2) ? random.below(5000) : random.below(80)
        const bytes = new Uint8Array(size).fill(random.below(256))
        blocks.push({ reference: arena.put(bytes, 0, size), bytes })
      }
      const taken = new Set<number>()
      for (const { reference, bytes } of blocks) {
        if (bytes.length === 0) continue
        assert.ok(!taken.has(reference))
        taken.add(reference)
        const at = arena.offset(reference)
        assert.deepEqual(Buffer.compare(arena.chunk(reference).subarray(at, at + bytes.length), bytes), 0)
      }
      const bytes = arena.bytes()
      for (const block of blocks) arena.free(block.reference, block.bytes.length)
      assert.ok(arena.bytes() <= bytes)
      for (const block of blocks) arena.put(block.bytes, 0, block.bytes.length)
      assert.ok(arena.bytes() <= bytes, 'freed blocks are used again')
    }),
    { numRuns: 40 },
  )
})
