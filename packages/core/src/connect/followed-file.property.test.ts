// Any split of reads, and a restart at any place, give the same records; and what is said when a file is not what it was.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../base/random.ts'
import type { Field } from '../codec/column.ts'
import { SimulatedDisk, VirtualTime } from '../testing/index.ts'
import { type FilePosition, FollowedFile } from './followed-file.ts'
import { CsvLines, NdjsonLines } from './lines.ts'
import type { RecordAppender } from './source.ts'

const PATH = 'f'
const FIELDS: readonly Field[] = [
  { name: 'a', type: { kind: 'string' }, nullable: true },
  { name: 'b', type: { kind: 'f64' }, nullable: true },
]

class Collected implements RecordAppender {
  readonly bytes = 0
  readonly records: string[] = []

  append(_key: Uint8Array | null, value: Uint8Array | null, _timeMs: number, headers: readonly { readonly key: string }[] = []): void {
    this.records.push(`${headers.length > 0 ? '! ' : ''}${new TextDecoder().decode(value ?? new Uint8Array(0))}`)
  }

  appendRange(
    key: Uint8Array | null,
    _keyStart: number,
    _keyEnd: number,
    value: Uint8Array | null,
    start: number,
    end: number,
    timeMs: number,
  ): void {
    this.append(key, value === null ? null : value.subarray(start, end), timeMs)
  }
}

interface World {
  readonly disk: SimulatedDisk
  readonly time: VirtualTime
  readonly notices: string[]
}

function world(seed = 1): World {
  const time = new VirtualTime()
  return { disk: new SimulatedDisk({ random: seededRandom(seed), scheduler: time }), time, notices: [] }
}

function follow(
  on: World,
  separator: string | null,
  options: { tail?: boolean; readBytes?: number; limit?: number; position?: FilePosition | null } = {},
): FollowedFile {
  const { tail = false, readBytes = 64, limit = 60, position = null } = options
  return new FollowedFile(
    {
      path: PATH,
      tail,
      rotateWaitMs: 0,
      recordBytesMax: limit,
      separator,
      format: (header) =>
        header === null ? new NdjsonLines(null, null, 10_000) : new CsvLines(FIELDS, header, null, separator ?? ',', 10_000),
      disk: on.disk,
      clock: on.time,
      notice: (message) => void on.notices.push(message),
    },
    new Uint8Array(readBytes),
    position,
  )
}

function put(on: World, path: string, content: Uint8Array | string, at = 0): void {
  const file = on.disk.open(path, 'create')
  file.write(typeof content === 'string' ? new TextEncoder().encode(content) : content, at)
  file.close()
}

/** Reads to the end, and is started anew at the position after some of the reads. */
function readAll(on: World, separator: string | null, readBytes: number, restarts: ReadonlySet<number>): string[] {
  const into = new Collected()
  let file = follow(on, separator, { readBytes })
  for (let reads = 0; file.read(into) !== 'ended'; reads++) {
    if (!restarts.has(reads)) continue
    const position = file.position()
    file.close()
    file = follow(on, separator, { readBytes, position: JSON.parse(JSON.stringify(position)) as FilePosition })
  }
  file.close()
  assert.deepEqual(on.notices, [])
  return into.records
}

const cell = fc.oneof(
  fc.constantFrom('', '1', '2.5', 'x', 'é✓', '"q"', '"a,b"', '"a""b"', '"a\nb"', '"', 'a"b', 'x'.repeat(70)),
  fc.string({ maxLength: 5 }),
)
const line = fc.oneof(
  fc.json().map((text) => text.replaceAll('\n', ' ')),
  fc.array(cell, { minLength: 1, maxLength: 3 }).map((cells) => cells.join(',')),
  fc.string({ maxLength: 100, unit: 'grapheme' }),
)
const content = fc
  .tuple(fc.boolean(), fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\n\n')), { maxLength: 12 }), fc.boolean())
  .map(([bom, lines, ended]) => `${bom ? '\ufeff' : ''}${lines.map(([text, end]) => text + end).join('')}${ended ? '' : 'end'}`)

for (const separator of [null, ',']) {
  test(`any split of reads and any restarts give the same records: ${separator === null ? 'NDJSON' : 'CSV'}`, () => {
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 50 }), fc.uniqueArray(fc.nat(40)), fc.nat(), (text, readBytes, restarts, seed) => {
        const whole = world(seed)
        const split = world(seed + 1)
        const full = separator === null ? text : `${text.startsWith('\ufeff') ? '\ufeff' : ''}b,a,c\n${text.replace('\ufeff', '')}`
        for (const on of [whole, split]) put(on, PATH, full)
        assert.deepEqual(readAll(split, separator, readBytes, new Set(restarts)), readAll(whole, separator, 100_000, new Set()))
      }),
      { numRuns: 400 },
    )
  })
}

function drain(file: FollowedFile): string[] {
  const into = new Collected()
  while (file.read(into) === 'more');
  return into.records
}

test('a file whose end was lost in a power cut is read on where it ends now', () => {
  const on = world()
  const lines = Array.from({ length: 200 }, (_, n) => `{"n":${n}}`)
  put(on, PATH, `${lines.join('\n')}\n`)
  const file = follow(on, null, { tail: true })
  assert.equal(drain(file).length, 200)
  const size = on.disk.stat(PATH)?.size ?? 0
  on.disk.open(PATH, 'write').truncate(size - 25)
  assert.deepEqual(drain(file), [])
  put(on, PATH, '{"new":1}\n', size - 25)
  assert.deepEqual(drain(file), ['{"new":1}'])
  assert.match(on.notices.join(), /lost its end behind byte/)
})

test('a truncation is seen while the file is followed and after a restart, and the unfinished line is counted', () => {
  for (const restarts of [false, true]) {
    const on = world()
    put(on, PATH, '{"n":1}\n{"n"')
    let file = follow(on, null, { tail: true })
    assert.deepEqual(drain(file), ['{"n":1}'])
    on.disk.open(PATH, 'write').truncate(0)
    put(on, PATH, '{"m":1}\n{"m":2}\n{"m":3}\n')
    if (restarts) file = follow(on, null, { tail: true, position: file.position() })
    assert.deepEqual(drain(file), ['{"m":1}', '{"m":2}', '{"m":3}'])
    assert.match(
      on.notices.join(),
      restarts ? /truncated while nobody read it/ : /was truncated; .*; 4 bytes of a line that had no end yet are gone/,
    )
  }
})

test('a file that is gone is said, and what has its name now is read', () => {
  const on = world()
  put(on, PATH, 'a\nb\n')
  const file = follow(on, null, { tail: true })
  assert.deepEqual(drain(file), ['a', 'b'])
  on.disk.remove(PATH)
  put(on, `${PATH}.9`, 'older\n')
  put(on, PATH, 'c\n')
  const next = follow(on, null, { tail: true, position: file.position() })
  assert.deepEqual(drain(next), ['c'])
  assert.deepEqual(on.notices, ['the file that f was, read to byte 4, is gone; what it held beyond that is not read'])
})

test('rotations while nobody looks are read in order, compressed ones and older ones are not', async () => {
  const on = world()
  put(on, `${PATH}.1`, 'ancient\n')
  put(on, PATH, 'a\n')
  const file = follow(on, null, { tail: true })
  assert.deepEqual(drain(file), ['a'])
  for (const text of ['b', 'c', 'd']) {
    for (let number = 3; number >= 1; number--)
      if (on.disk.exists(`${PATH}.${number}`)) on.disk.rename(`${PATH}.${number}`, `${PATH}.${number + 1}`)
    on.disk.rename(PATH, `${PATH}.1`)
    put(on, PATH, `${text}\n`)
  }
  put(on, `${PATH}.5.gz`, 'x\n')
  const next = follow(on, null, { tail: true, position: file.position() })
  assert.deepEqual(drain(next), ['b', 'c', 'd'])
  assert.deepEqual(on.notices, [])
})
