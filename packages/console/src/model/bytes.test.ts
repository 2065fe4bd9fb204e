import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bytesOfBase64, hexDump, prettyJson, visibleText } from './bytes.ts'

describe('bytes', () => {
  test('base64 gives back every byte', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.deepEqual(bytesOfBase64(Buffer.from(bytes).toString('base64')), bytes)
      }),
    )
  })

  test('a hex dump holds every byte in order', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const dump = hexDump(bytes, 100)
        const hex = dump.split('\n').map((line) => line.slice(8, 55).replaceAll(' ', ''))
        assert.equal(hex.join(''), Buffer.from(bytes).toString('hex'))
      }),
    )
  })

  test('a long dump says what it leaves out', () => {
    assert.equal(hexDump(new Uint8Array(50), 2).split('\n').at(-1), '… 18 more bytes')
    assert.equal(hexDump(new TextEncoder().encode('{"a":1}'), 2), `000000  7b 22 61 22 3a 31 7d${' '.repeat(27)}  {"a":1}`)
  })

  test('control characters can be seen, lines stay lines', () => {
    assert.equal(visibleText('a\u0000b\n\u007f\tc'), 'a␀b\n␡\tc')
  })

  test('JSON is indented, what is none is left alone', () => {
    assert.equal(prettyJson('{"a":[1]}'), '{\n  "a": [\n    1\n  ]\n}')
    assert.equal(prettyJson('{"a":'), '{"a":')
  })
})
