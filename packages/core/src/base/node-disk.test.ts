import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readFully } from './disk.ts'
import { isMillraceError } from './errors.ts'
import { nodeDisk } from './node-disk.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const failsWith =
  (code: string, ...details: string[]) =>
  (error: unknown) => {
    assert.equal((error as { code?: string }).code, code)
    for (const detail of details) assert.match(String(error), new RegExp(detail))
    return true
  }

function folder(t: TestContext): string {
  const path = fs.mkdtempSync(join(os.tmpdir(), 'millrace-disk-'))
  t.after(() => fs.rmSync(path, { recursive: true, force: true }))
  return path
}

test('write at a position, read back, truncate, size', (t) => {
  const path = join(folder(t), 'a')
  const file = nodeDisk.open(path, 'create')
  file.write(ascii('hello'), 3)
  assert.equal(file.size(), 8)
  const target = new Uint8Array(10)
  assert.equal(file.read(target, 0), 8)
  assert.deepEqual(target, new Uint8Array([0, 0, 0, ...ascii('hello'), 0, 0]))
  assert.equal(file.read(target, 8), 0)
  assert.equal(readFully(file, new Uint8Array(9), 0), false)
  file.truncate(4)
  assert.equal(file.size(), 4)
  file.close()
  file.close()
  assert.throws(() => file.size(), { name: 'AssertionFailure' })
})

test('many pieces land one behind the other, empty ones too, more than one system call takes', async (t) => {
  const path = join(folder(t), 'a')
  const file = nodeDisk.open(path, 'create')
  const pieces = Array.from({ length: 2500 }, (_, index) => ascii('x'.repeat(index % 7) + index))
  file.writeAll(pieces, 5)
  file.writeAll([], 0)
  file.sync()
  await file.syncLater()
  file.close()
  assert.equal(fs.readFileSync(path, 'latin1').slice(5), pieces.map((piece) => Buffer.from(piece).toString()).join(''))
})

test('a private folder is for its owner alone, its parents are not, and one that is there keeps its rights', (t) => {
  const inner = join(folder(t), 'a', 'b')
  const before = process.umask(0o022)
  t.after(() => process.umask(before))
  nodeDisk.makeFolder(inner, 'private')
  assert.equal(fs.statSync(inner).mode & 0o777, 0o700)
  assert.equal(fs.statSync(join(inner, '..')).mode & 0o777, 0o755)
  fs.chmodSync(inner, 0o750)
  nodeDisk.makeFolder(inner, 'private')
  assert.equal(fs.statSync(inner).mode & 0o777, 0o750)
})

test('folders: make, list sorted, rename, sync, remove', (t) => {
  const root = folder(t)
  const inner = join(root, 'a', 'b')
  nodeDisk.makeFolder(inner)
  nodeDisk.makeFolder(inner)
  for (const name of ['z', 'b', 'y']) nodeDisk.open(join(inner, name), 'create').close()
  nodeDisk.rename(join(inner, 'z'), join(inner, 'a'))
  nodeDisk.syncFolder(inner)
  assert.deepEqual(nodeDisk.list(inner), ['a', 'b', 'y'])
  assert.ok(nodeDisk.exists(inner))
  nodeDisk.remove(join(root, 'a'))
  nodeDisk.remove(join(root, 'a'))
  assert.ok(!nodeDisk.exists(inner))
  assert.deepEqual(nodeDisk.list(inner), [])
  assert.ok(nodeDisk.freeBytes(root) > 0)
})

test('failures name the path, the operation and the code of the system', (t) => {
  const root = folder(t)
  assert.throws(() => nodeDisk.open(join(root, 'none'), 'read'), failsWith('MR_DISK_FAILED', 'none', 'ENOENT', 'open'))
  assert.throws(() => nodeDisk.open(join(root, 'none'), 'write'), failsWith('MR_DISK_FAILED'))
  assert.throws(() => nodeDisk.list(join(import.meta.dirname, 'disk.ts')), failsWith('MR_DISK_FAILED', 'ENOTDIR'))
  assert.throws(() => nodeDisk.syncFolder(join(root, 'none')), failsWith('MR_DISK_FAILED', 'sync folder'))
  const file = nodeDisk.open(join(root, 'a'), 'create')
  file.close()
  const readOnly = nodeDisk.open(join(root, 'a'), 'read')
  assert.throws(() => readOnly.write(ascii('x'), 0), failsWith('MR_DISK_FAILED', 'EBADF', 'write'))
  readOnly.close()
})

test('the fix is that of the cause: a path, a permission or a file in the way is no broken disk', (t) => {
  const root = folder(t)
  fs.writeFileSync(join(root, 'file'), '')
  const fixOf = (action: () => unknown): string => {
    try {
      action()
    } catch (error) {
      if (isMillraceError(error)) return error.fix
    }
    return 'nothing was thrown'
  }
  assert.match(
    fixOf(() => nodeDisk.open(join(root, 'none'), 'read')),
    /correct the path/,
  )
  assert.match(
    fixOf(() => nodeDisk.makeFolder(join(root, 'file'))),
    /A file stands where a folder is needed/,
  )
  assert.match(
    fixOf(() => nodeDisk.makeFolder(join(root, 'file/below'))),
    /A file stands where a folder is needed/,
  )
  assert.match(
    fixOf(() => nodeDisk.open(root, 'write')),
    /is a folder, and a file is needed/,
  )
  const failing = (code: string): string => {
    const mock = t.mock.method(fs, 'openSync', () => {
      throw Object.assign(new Error(code), { code })
    })
    const fix = fixOf(() => nodeDisk.open(join(root, 'file'), 'read'))
    mock.mock.restore()
    return fix
  }
  assert.match(failing('EACCES'), /This user \(uid \d+\) may not do that/)
  assert.match(failing('EPERM'), /may not do that/)
  assert.match(failing('EROFS'), /can only be read/)
  assert.match(failing('EMFILE'), /too many files open/)
  assert.match(failing('EIO'), /dmesg, SMART/)
})

test('a full disk is MR_DISK_FULL', { skip: fs.existsSync('/dev/full') ? false : 'this system has no /dev/full' }, () => {
  const file = nodeDisk.open('/dev/full', 'write')
  assert.throws(() => file.write(ascii('x'), 0), failsWith('MR_DISK_FULL', 'ENOSPC'))
  assert.throws(() => file.writeAll([ascii('x')], 0), failsWith('MR_DISK_FULL'))
  file.close()
})

test('a failed sync is final for the file', async (t) => {
  const path = join(folder(t), 'a')
  const file = nodeDisk.open(path, 'create')
  const failing = t.mock.method(fs, 'fdatasyncSync', () => {
    throw Object.assign(new Error('i/o error'), { code: 'EIO' })
  })
  assert.throws(() => file.sync(), failsWith('MR_DISK_FAILED', 'EIO', 'sync'))
  failing.mock.restore()
  assert.throws(() => file.sync(), failsWith('MR_DISK_FAILED', 'EIO'))
  assert.throws(() => file.write(ascii('x'), 0), failsWith('MR_DISK_FAILED', 'EIO'))
  await assert.rejects(file.syncLater(), failsWith('MR_DISK_FAILED', 'EIO'))
  file.close()
})

test('a sync without room is a failed sync, not a full disk that one may wait for', async (t) => {
  const path = join(folder(t), 'a')
  const noRoom = (): Error => Object.assign(new Error('no room'), { code: 'ENOSPC' })
  for (const sync of ['now', 'later']) {
    const file = nodeDisk.open(path, 'create')
    t.mock.method(fs, 'fdatasyncSync', () => {
      throw noRoom()
    })
    t.mock.method(fs, 'fdatasync', (_: number, done: (error: Error) => void) => done(noRoom()))
    await assert.rejects(async () => (sync === 'now' ? file.sync() : file.syncLater()), failsWith('MR_DISK_FAILED', 'ENOSPC', 'sync'))
    t.mock.restoreAll()
    assert.throws(() => file.write(ascii('x'), 0), failsWith('MR_DISK_FAILED', 'ENOSPC'))
    file.close()
  }
})

test('short writes are continued', (t) => {
  const path = join(folder(t), 'a')
  const file = nodeDisk.open(path, 'create')
  const write = fs.writeSync as (handle: number, bytes: Uint8Array, offset: number, length: number, position: number) => number
  t.mock.method(fs, 'writeSync', (handle: number, bytes: Uint8Array, offset: number, length: number, position: number) =>
    write(handle, bytes, offset, Math.min(length, 3), position),
  )
  t.mock.method(fs, 'writevSync', (handle: number, pieces: Uint8Array[], position: number) =>
    write(handle, pieces[0] as Uint8Array, 0, Math.min(2, (pieces[0] as Uint8Array).length), position),
  )
  file.write(ascii('0123456789'), 0)
  file.writeAll([ascii('abc'), ascii(''), ascii('defgh')], 10)
  file.close()
  assert.equal(fs.readFileSync(path, 'latin1'), '0123456789abcdefgh')
})

test('the lock: one owner, also inside one process; release hands it on', (t) => {
  const root = folder(t)
  const first = nodeDisk.lock(root)
  assert.throws(() => nodeDisk.lock(root), failsWith('MR_LOG_LOCKED', `pid=\`${process.pid}\``))
  first.release()
  const second = nodeDisk.lock(root)
  first.release()
  assert.throws(() => nodeDisk.lock(root), failsWith('MR_LOG_LOCKED'), 'a second release of the first owner changes nothing')
  second.release()
  nodeDisk.lock(root).release()
  assert.equal(nodeDisk.list(root).length, 1, 'one file stays, empty')
})

const lockScript = (root: string) => `
  import { nodeDisk } from ${JSON.stringify(join(import.meta.dirname, 'node-disk.ts'))}
  nodeDisk.lock(${JSON.stringify(root)})
  process.stdout.write('locked')
  process.stdin.resume()
`

test('the lock of a killed process can be taken, that of a living one cannot', async (t) => {
  const root = folder(t)
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', lockScript(root)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  assert.throws(() => nodeDisk.lock(root), failsWith('MR_LOG_LOCKED', `pid=\`${child.pid}\``))
  child.kill('SIGKILL')
  await once(child, 'exit')
  nodeDisk.lock(root).release()
})

test('a process id used again, a torn lock file and another boot do not hold the lock', (t) => {
  const root = folder(t)
  nodeDisk.lock(root)
  const path = join(root, 'lock.1')
  const owner = JSON.parse(fs.readFileSync(path, 'utf8')) as Record<string, unknown>
  const stale = [JSON.stringify({ ...owner, started: '1' }), JSON.stringify({ ...owner, boot: 'another' }), '{"pid":', '']
  for (const [index, text] of stale.entries()) {
    fs.writeFileSync(join(root, `lock.${index + 1}`), text)
    nodeDisk.lock(root)
  }
  fs.writeFileSync(join(root, 'lock.5'), JSON.stringify({ ...owner, namespace: 'pid:[1]', host: 'elsewhere' }))
  assert.throws(() => nodeDisk.lock(root), failsWith('MR_LOG_LOCKED', 'elsewhere'))
  fs.writeFileSync(join(root, 'lock.5'), JSON.stringify({ ...owner, namespace: 'pid:[1]' }))
  nodeDisk.lock(root)
})

test('many processes race for a stale lock: one wins', (t) => {
  const root = folder(t)
  const script = `
    import { nodeDisk } from ${JSON.stringify(join(import.meta.dirname, 'node-disk.ts'))}
    import fs from 'node:fs'
    const round = Number(process.argv[1])
    while (!fs.existsSync(${JSON.stringify(root)} + '/go-' + round));
    try { nodeDisk.lock(${JSON.stringify(root)}); process.stdout.write('won ') } catch (error) { process.stdout.write(error.code + ' ') }
    fs.writeFileSync(${JSON.stringify(root)} + '/done-' + round + '-' + process.pid, '')
    while (fs.readdirSync(${JSON.stringify(root)}).filter((name) => name.startsWith('done-' + round)).length < 4);
  `
  for (let round = 0; round < 3; round++) {
    const shell = `for i in 1 2 3 4; do "$0" --input-type=module-typescript -e "$1" ${round} & done; touch ${root}/go-${round}; wait`
    const { stdout } = spawnSync('sh', ['-c', shell, process.execPath, script], { encoding: 'utf8' })
    assert.deepEqual(stdout.trim().split(' ').sort(), ['MR_LOG_LOCKED', 'MR_LOG_LOCKED', 'MR_LOG_LOCKED', 'won'], `round ${round}`)
  }
})

test('a file keeps its identity through a rename, and another file has another one', (t) => {
  const dir = folder(t)
  const [first, second] = [join(dir, 'first'), join(dir, 'second')]
  assert.equal(nodeDisk.stat(first), null)
  fs.writeFileSync(first, 'abc')
  const before = nodeDisk.stat(first)
  nodeDisk.rename(first, second)
  assert.deepEqual(nodeDisk.stat(second), before)
  assert.equal(before?.size, 3)
  assert.ok(Math.abs((before?.modifiedMs ?? 0) - fs.statSync(second).mtimeMs) < 1)
  fs.writeFileSync(first, 'd')
  assert.notEqual(nodeDisk.stat(first)?.identity, before?.identity)
})

test('a folder that cannot be made is refused at once, also where node would try for ever', (t) => {
  const dir = folder(t)
  nodeDisk.makeFolder(join(dir, 'a/b/c'))
  nodeDisk.makeFolder(join(dir, 'a/b/c'))
  assert.ok(fs.statSync(join(dir, 'a/b/c')).isDirectory())
  fs.writeFileSync(join(dir, 'file'), '')
  assert.throws(() => nodeDisk.makeFolder(join(dir, 'file/below')), failsWith('MR_DISK_FAILED', 'make folder'))
  assert.throws(() => nodeDisk.makeFolder('/proc/millrace/data'), failsWith('MR_DISK_FAILED', 'make folder'))
})
