import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { csvSplitter } from './csv.ts'
import { ndjsonSplitter } from './ndjson.ts'
import type { RecordSplitter } from './record-splitter.ts'

interface Found {
  readonly text: string
  readonly line: number
  readonly position: number
}

/** Feeds `bytes` in chunks that end at `cuts` through one reused buffer, as a file reader does. */
function feed(
  splitter: RecordSplitter,
  bytes: Uint8Array,
  cuts: readonly number[],
): { readonly found: Found[]; readonly refused: { line: number; position: number; bytes: number }[]; readonly ends: number[] } {
  const found: Found[] = []
  const refused: { line: number; position: number; bytes: number }[] = []
  const ends: number[] = []
  const chunk = new Uint8Array(bytes.length)
  let from = 0
  const collect = (batch: ReturnType<RecordSplitter['push']>): void => {
    for (let i = 0; i < batch.count; i++) {
      found.push({
        text: Buffer.from(batch.bytes.subarray(batch.starts[i], batch.ends[i])).toString('latin1'),
        line: batch.lines[i] ?? 0,
        position: batch.position + (batch.starts[i] ?? 0),
      })
    }
    refused.push(...batch.refused.map(({ line, position, bytes: size }) => ({ line, position, bytes: size })))
    ends.push(batch.end)
  }
  for (const cut of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    chunk.fill(0x7a)
    chunk.set(bytes.subarray(from, cut))
    collect(splitter.push(chunk.subarray(0, cut - from)))
    from = cut
  }
  collect(splitter.end())
  return { found, refused, ends }
}

const pieces = fc.array(
  fc.constantFrom('\n', '\r\n', '\r', '{"a":1}', 'x', ' ', 'é', 'longer than the limit', ',', '"', '""', '"a\nb"', ',"c"'),
  { maxLength: 25 },
)
const withBom = fc.tuple(fc.boolean(), pieces).map(([bom, parts]) => (bom ? '\ufeff' : '') + parts.join(''))

/** Lines by the naive way: split at feeds, and where each begins. */
function lines(bytes: Uint8Array, isEnd: (text: string, at: number, start: number) => boolean): Found[] {
  const text = Buffer.from(bytes).toString('latin1')
  const found: Found[] = []
  let start = text.startsWith('\xef\xbb\xbf') ? 3 : 0
  let line = 1
  for (let at = start; at <= text.length; at++) {
    if (at < text.length && !(text[at] === '\n' && isEnd(text, at, start))) continue
    if (at === text.length && start === at) break
    const content = text.slice(start, at)
    found.push({ text: content.endsWith('\r') ? content.slice(0, -1) : content, line, position: start })
    line += content.split('\n').length
    start = at + 1
  }
  return found
}

test('NDJSON splits the same wherever the chunks end', () => {
  fc.assert(
    fc.property(withBom, fc.array(fc.nat()), (text, cuts) => {
      const bytes = new TextEncoder().encode(text)
      const limit = 12
      const all = lines(bytes, () => true)
      const { found, refused } = feed(ndjsonSplitter({ recordBytesMax: limit }), bytes, cuts)
      const kept = all.filter((line) => !/^[ \t\r]*$/.test(line.text))
      assert.deepEqual(
        found,
        kept.filter((line) => line.text.length <= limit),
      )
      const long = kept.filter((line) => line.text.length > limit)
      assert.deepEqual(
        refused.map(({ line, position }) => ({ line, position })),
        long.map(({ line, position }) => ({ line, position })),
      )
    }),
    { numRuns: 1000 },
  )
})

test('CSV splits outside quotes only, the same wherever the chunks end', () => {
  /** A feed ends a record when the fields before it are closed: each is unquoted, or quoted with its quotes doubled. */
  const closed = (text: string, at: number, start: number): boolean =>
    /^(?:(?:"(?:[^"]|"")*"(?!")[^,\n]*|[^",\n][^,\n]*|),)*(?:"(?:[^"]|"")*"(?!")[^,\n]*|[^",\n][^,\n]*|)$/s.test(text.slice(start, at))
  fc.assert(
    fc.property(withBom, fc.array(fc.nat()), (text, cuts) => {
      const bytes = new TextEncoder().encode(text)
      const { found } = feed(csvSplitter(), bytes, cuts)
      assert.deepEqual(
        found,
        lines(bytes, closed).filter((line) => line.text !== ''),
      )
    }),
    { numRuns: 1000 },
  )
})

test('reading goes on at `end` after a restart', () => {
  fc.assert(
    fc.property(withBom, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (text, cuts) => {
      const bytes = new TextEncoder().encode(text)
      const whole = feed(ndjsonSplitter(), bytes, []).found
      const first = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)[0] ?? 0
      const splitter = ndjsonSplitter()
      const batch = splitter.push(bytes.subarray(0, first))
      const before = whole.filter((line) => line.position < batch.end)
      const after = feed(ndjsonSplitter({ position: batch.end }), bytes.subarray(batch.end), cuts).found
      assert.deepEqual(
        [...before.map((line) => line.text), ...after.map((line) => line.text)],
        whole.map((line) => line.text),
      )
      assert.deepEqual(
        after.map((line) => line.position),
        whole.filter((line) => line.position >= batch.end).map((line) => line.position),
      )
    }),
    { numRuns: 300 },
  )
})

test('a line that never ends takes no more memory than the limit and a chunk', () => {
  const splitter = ndjsonSplitter({ recordBytesMax: 1000 })
  const chunk = new Uint8Array(4096).fill(0x61)
  for (let i = 0; i < 1000; i++) assert.equal(splitter.push(chunk).refused.length, 0)
  const last = splitter.push(new TextEncoder().encode('a\n{"ok":1}\n'))
  assert.deepEqual(last.refused, [{ code: 'MR_CODEC_TOO_LARGE', line: 1, position: 0, bytes: 4096 * 1000 + 1 }])
  assert.equal(last.count, 1)
  assert.equal(last.lines[0], 2)
})
