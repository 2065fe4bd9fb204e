// What stands beside a followed file, or in its place, and is no file: folders, pipes, links that lead nowhere, files that may not be read.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Disk } from '../base/disk.ts'
import { MillraceError } from '../base/errors.ts'
import { nodeDisk } from '../base/node-disk.ts'
import { VirtualTime } from '../testing/index.ts'
import { FollowedFile } from './followed-file.ts'
import { NdjsonLines } from './lines.ts'
import type { RecordAppender } from './source.ts'

function folder(t: TestContext): string {
  const path = fs.mkdtempSync(join(os.tmpdir(), 'millrace-odd-'))
  t.after(() => fs.rmSync(path, { recursive: true }))
  return path
}

/** The records of the file, as far as it goes now. */
function read(path: string, disk: Disk = nodeDisk, more: () => void = () => undefined): readonly string[] {
  const records: string[] = []
  const into: RecordAppender = {
    bytes: 0,
    append: () => assert.fail('every line is a record'),
    appendRange: (_key, _keyStart, _keyEnd, value, start, end) =>
      void records.push(new TextDecoder().decode(value?.subarray(start, end) ?? new Uint8Array(0))),
  }
  const format = (): NdjsonLines => new NdjsonLines(null, null, 1000)
  const options = { path, tail: true, rotateWaitMs: 0, recordBytesMax: 1000, separator: null, format, disk, notice: () => undefined }
  const file = new FollowedFile({ ...options, clock: new VirtualTime() }, new Uint8Array(1000), null)
  try {
    while (file.read(into) === 'more');
    more()
    while (file.read(into) === 'more');
  } finally {
    file.close()
  }
  return records
}

test('what lies beside the file and is none does not keep it from being read', { timeout: 10_000 }, (t) => {
  const path = join(folder(t), 'hits.log')
  fs.writeFileSync(path, '1\n2\n')
  fs.mkdirSync(`${path}-archive`)
  fs.symlinkSync(`${path}.loop`, `${path}.loop`)
  fs.symlinkSync('/nowhere', `${path}.gone`)
  execFileSync('mkfifo', [`${path}.pipe`])
  const rotated = (): void => {
    fs.renameSync(path, `${path}.1`)
    fs.writeFileSync(path, '3\n')
  }
  assert.deepEqual(read(path, nodeDisk, rotated), ['1', '2', '3'])
})

test('an older file beside it that may not be read is passed by', (t) => {
  const path = join(folder(t), 'hits.log')
  fs.writeFileSync(`${path}.1`, '0\n')
  fs.writeFileSync(path, '1\n')
  const disk: Disk = {
    ...nodeDisk,
    open(name, mode) {
      if (name === `${path}.1`) throw new MillraceError('MR_DISK_FAILED', { details: { path: name, operation: 'open', code: 'EACCES' } })
      return nodeDisk.open(name, mode)
    },
  }
  assert.deepEqual(read(path, disk), ['1'])
})

test('a pipe or a folder in place of the file is refused by name, and nobody waits for it', { timeout: 10_000 }, (t) => {
  const path = join(folder(t), 'hits.log')
  execFileSync('mkfifo', [path])
  const refusal = { code: 'MR_DISK_FAILED', message: /no regular file/ }
  assert.throws(() => read(path), refusal)
  fs.rmSync(path)
  fs.mkdirSync(path)
  assert.throws(() => read(path), refusal)
})
