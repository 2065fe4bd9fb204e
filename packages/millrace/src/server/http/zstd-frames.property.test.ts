import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { zstdFrames } from './zstd-frames.ts'

const content = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 40_000 })).map(([piece, times]) => {
    const whole = new Uint8Array(piece.length * times)
    for (let at = 0; at < whole.length; at += piece.length) whole.set(piece, at)
    return whole
  }),
)

test('law: frames that were written one after the other are found, whatever they hold', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ content, checksum: fc.boolean(), level: fc.integer({ min: 1, max: 6 }), skip: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
      (parts) => {
        const bodies = parts.flatMap(({ content: bytes, checksum, level, skip }) => {
          const params = { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0, [constants.ZSTD_c_compressionLevel]: level }
          const frame = zstdCompressSync(bytes, { params })
          return skip ? [Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]), frame] : [frame]
        })
        const body = Buffer.concat(bodies)
        const frames = zstdFrames(body)
        assert.equal(frames?.length, parts.length)
        assert.ok(
          Buffer.concat((frames ?? []).map((frame) => zstdDecompressSync(frame))).equals(Buffer.concat(parts.map((part) => part.content))),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('a body that ends inside a frame, or holds something else, is none', () => {
  const body = Buffer.concat([zstdCompressSync(Buffer.from('{"a":1}\n')), zstdCompressSync(Buffer.from('{"a":2}\n'))])
  const first = zstdCompressSync(Buffer.from('{"a":1}\n')).length
  for (let end = 1; end < body.length; end++) if (end !== first) assert.equal(zstdFrames(body.subarray(0, end)), null, `${end}`)
  assert.equal(zstdFrames(Buffer.concat([body, Buffer.from('rest of something')])), null)
})
