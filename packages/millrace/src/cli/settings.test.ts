// Settings: the order of their sources, and errors that name the place and the nearest word.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { temporaryFolder } from '../server/plant.fixture.ts'
import { environmentName, flagName, parseSettings, readSettings, SETTINGS } from './settings.ts'

interface Refused {
  readonly code: string
  readonly message: string
  readonly fix: string
  readonly details: Readonly<Record<string, unknown>>
}

function refusal(run: () => unknown): Refused {
  try {
    run()
  } catch (error) {
    return error as Refused
  }
  return assert.fail('nothing was refused')
}

const read = (sources: Partial<Parameters<typeof readSettings>[0]> = {}) =>
  readSettings({ cwd: '/nowhere', env: {}, flags: {}, file: null, ...sources })

describe('where settings come from', () => {
  test('flags, then environment, then the file, then the default', () => {
    const folder = temporaryFolder()
    writeFileSync(path.join(folder, 'millrace.yaml'), 'port: 1\nhost: ::1\nmemoryBytes: 1GB\nhosts: [a, b]\n')
    const env = { MILLRACE_PORT: '2', MILLRACE_TOKEN: 'secret' }
    assert.equal(read({ cwd: folder }).port, 1)
    assert.equal(read({ cwd: folder, env }).port, 2)
    const settings = read({ cwd: folder, env, flags: { port: '3' } })
    assert.equal(settings.port, 3)
    assert.deepEqual([settings.host, settings.memoryBytes, settings.hosts, settings.token], ['::1', 1e9, ['a', 'b'], 'secret'])
    assert.equal(settings.data, path.join(folder, 'millrace-data'))
    assert.deepEqual([read().port, read().isPortGiven, settings.isPortGiven], [4410, false, true])
  })

  test('every setting has its two other names, and no secret is a flag', () => {
    assert.equal(environmentName('bodyBytesMax'), 'MILLRACE_BODY_BYTES_MAX')
    assert.equal(flagName('tlsKey'), 'tls-key')
    assert.equal(SETTINGS.find(({ name }) => name === 'token')?.isFlag, false)
  })
})

describe('what is wrong is named with its place', () => {
  test('an unknown name in the file: line, column, nearest name', () => {
    const { message, details, fix } = refusal(() => parseSettings('# plant\nhost: localhost\n\nprot: 80\n', 'm.yaml'))
    assert.match(message, /no setting `prot`; did you mean `port`/)
    assert.equal(details['place'], 'm.yaml:4:1')
    assert.match(fix, /bodyBytesMax/)
  })

  test('broken YAML: the true line', () => {
    assert.equal(refusal(() => parseSettings('host: a\nhosts: [a, b\nport: 1\n', 'm.yaml')).code, 'MR_SETTINGS_INVALID')
    assert.match(String(refusal(() => parseSettings('host: "a\n', 'm.yaml')).details['place']), /^m\.yaml:[12]:/)
    assert.match(String(refusal(() => parseSettings('port: 1\nport: 2\n', 'm.yaml')).details['place']), /^m\.yaml:2:/)
  })

  test('a wrong value: what was expected, and the place of the value', () => {
    const folder = temporaryFolder()
    const file = path.join(folder, 'millrace.yaml')
    for (const [text, expected, place] of [
      ['port: 70000', /whole number from 0 to 65535/, '1:7'],
      ['host: a\nport: http', /whole number/, '2:7'],
      ['memoryBytes: lots', /256MiB/, '1:14'],
      ['startAt: earlyest', /did you mean `earliest`/, '1:10'],
      ['host: { a: b }', /single value/, '1:1'],
      ['- port', /name: value/, '1:1'],
    ] as const) {
      writeFileSync(file, text)
      const { message, details } = refusal(() => read({ cwd: folder }))
      assert.match(message, expected, text)
      assert.equal(details['place'], `${file}:${place}`, text)
    }
  })

  test('a misspelt variable, a wrong flag, half of TLS, a file that is not there', () => {
    assert.match(refusal(() => read({ env: { MILLRACE_PROT: '1' } })).message, /did you mean MILLRACE_PORT/)
    assert.equal(refusal(() => read({ env: { MILLRACE_PORT: 'x' } })).details['place'], 'MILLRACE_PORT')
    assert.equal(refusal(() => read({ flags: { port: 'x' } })).details['place'], '--port')
    assert.match(refusal(() => read({ flags: { 'tls-key': 'k.pem' } })).message, /belong together/)
    assert.equal(refusal(() => read({ file: 'other.yaml' })).details['place'], '/nowhere/other.yaml')
  })

  test('sizes are read in both families of units', () => {
    for (const [text, bytes] of [
      ['1024', 1024],
      ['1KiB', 1024],
      ['1.5 MiB', 1572864],
      ['2gb', 2e9],
    ] as const) {
      assert.equal(read({ env: { MILLRACE_DISK_RESERVE_BYTES: text } }).diskReserveBytes, bytes)
    }
    for (const text of ['-1', '1XB', 'MiB', '1e3'])
      assert.equal(refusal(() => read({ env: { MILLRACE_MEMORY_BYTES: text } })).code, 'MR_SETTINGS_INVALID')
  })
})

describe('texts of a file', () => {
  test('are what is written: YAML takes some of them for numbers, and a secret would be another', () => {
    for (const [text, name, value] of [
      ['token: 0012345', 'token', '0012345'],
      ['token: 12345678901234567890', 'token', '12345678901234567890'],
      ['token: 0xdeadbeef', 'token', '0xdeadbeef'],
      ['token: &a 1e5 # secret', 'token', '1e5'],
      ['token: 123.4500', 'token', '123.4500'],
      ['token: True', 'token', 'True'],
      ['token: "a\\tb"', 'token', 'a\tb'],
      ['data: 2024.10', 'data', '2024.10'],
      ['host: 0127.1', 'host', '0127.1'],
      ['hosts: 1.10', 'hosts', '1.10'],
      ['hosts: [1.10, a.example, 010]', 'hosts', '1.10,a.example,010'],
      ['token: ~', 'token', ''],
      ['port: 0x1F90', 'port', '0x1F90'],
      ['memoryBytes: 1.5e9', 'memoryBytes', '1.5e9'],
    ] as const)
      assert.equal(parseSettings(text, 'm.yaml').get(name)?.value, value, text)
  })
})

test('a settings file that never ends, or is none, is refused', { timeout: 10_000 }, () => {
  for (const file of ['/dev/zero', temporaryFolder()]) {
    const { code, details } = refusal(() => read({ file }))
    assert.deepEqual([code, details['place']], ['MR_SETTINGS_INVALID', file])
  }
  const long = path.join(temporaryFolder(), 'millrace.yaml')
  writeFileSync(long, '# '.padEnd(2_000_000, 'x'))
  assert.match(refusal(() => read({ file: long })).message, /cannot be read/)
})

describe('values that cannot be meant', () => {
  test('an empty or blank value that somebody wrote is no default: it would switch off what he asked for', () => {
    const folder = temporaryFolder()
    const file = path.join(folder, 'millrace.yaml')
    for (const [text, name] of [
      ['token: ""', 'token'],
      ['token: " "', 'token'],
      ['token:', 'token'],
      ['token: " padded"', 'token'],
      ['data: ""', 'data'],
      ['data: "  "', 'data'],
      ['host: ""', 'host'],
      ['tlsKey: ""\ntlsCert: ""', 'tlsKey'],
      ['hosts: ["http://example.org"]', 'hosts'],
      ['hosts: "*"', 'hosts'],
      ['memoryBytes: 1', 'memoryBytes'],
      ['memoryBytes: 0', 'memoryBytes'],
      ['memoryBytes: 9007199254740991', 'memoryBytes'],
      ['bodyBytesMax: 0', 'bodyBytesMax'],
      ['bodyBytesMax: 1TB', 'bodyBytesMax'],
      ['bodyBytesMax: 100GB', 'bodyBytesMax'],
      ['snapshotBytesMin: 0', 'snapshotBytesMin'],
      ['port: ""', 'port'],
      ['port: 1e3', 'port'],
      ['memoryBytes: 1.5e9', 'memoryBytes'],
      ['workers: -1', 'workers'],
      ['workers: 1e9', 'workers'],
      ['startAt: ""', 'startAt'],
    ] as const) {
      writeFileSync(file, text)
      const { code, details, fix } = refusal(() => read({ cwd: folder }))
      assert.deepEqual([code, details['setting']], ['MR_SETTINGS_INVALID', name], text)
      assert.match(String(details['place']), /millrace\.yaml:1:\d+$/, text)
      assert.notEqual(fix, '', text)
    }
    for (const flag of ['data', 'host', 'tls-key', 'tls-cert', 'memory-bytes', 'port'])
      assert.equal(refusal(() => read({ flags: { [flag]: '' } })).details['place'], `--${flag}`)
    assert.equal(refusal(() => read({ env: { MILLRACE_TOKEN: '' } })).details['place'], 'MILLRACE_TOKEN')
    assert.equal(refusal(() => read({ env: { MILLRACE_TOKEN: ' ' } })).details['place'], 'MILLRACE_TOKEN')
    assert.equal(refusal(() => read({ env: { MILLRACE_TLS_KEY: '' } })).details['place'], 'MILLRACE_TLS_KEY')
    assert.ok(!refusal(() => read({ env: { MILLRACE_TOKEN: 'padded ' } })).message.includes('padded'), 'a secret is not shown')
    // As compose files write what is not set.
    assert.equal(read({ env: { MILLRACE_PORT: '', MILLRACE_HOST: '' } }).port, 4410)
  })
})
