// The repository speaks of millrace alone: nothing in it belongs to one machine, one network or the way it was written.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Lock, missingEntries, platformOf } from '../lock.ts'
import { readTreeFile, treeFiles } from './source-files.ts'

/** Pieces are joined here, so that this file does not contain what it looks for. */
function pattern(flags: string, ...pieces: readonly string[]): RegExp {
  return new RegExp(pieces.join(''), flags)
}

interface Rule {
  readonly what: string
  readonly pattern: RegExp
}

const RULES: readonly Rule[] = [
  { what: 'a path of one machine', pattern: pattern('', '(^|[^\\w.-])/(ro', 'ot|wo', 'rk|ho', 'me/[a-z]+|Us', 'ers/[a-z]+)/') },
  { what: 'a folder outside the repository', pattern: pattern('', '\\.\\./sha', 'red/|\\.lib', 'rary/|\\.mir', 'ror/') },
  {
    what: 'a document outside the repository',
    pattern: pattern('', '\\b(design|style|limits|stack|features|peers|commit-and-par', 'quet)\\.m', 'd\\b'),
  },
  {
    what: 'a registry host',
    pattern: pattern('i', 'regis', 'try\\.(npm', 'js|yarn', 'pkg)\\.|"resol', 'ved": "http|artif', 'actory|//[^/\\s]*:_auth'),
  },
  {
    what: 'a word about how it was written',
    pattern: pattern(
      'i',
      '\\b(cla',
      'ude|chat',
      'gpt|co',
      'pilot|anthro',
      'pic|open',
      'ai|language mo',
      'del|sub',
      'agent|as an a',
      'i)\\b',
    ),
  },
  {
    what: 'a word about the plan of work',
    pattern: pattern('i', '\\b(iss', 'ue [0-9]+|this ses', 'sion|the bri', 'ef|the pro', 'mpt)\\b'),
  },
  { what: 'unfinished work', pattern: pattern('', '\\b(TO', 'DO|FIX', 'ME|XX', 'X|HA', 'CK)\\b|not imple', 'mented') },
]

const TEXT = /\.(ts|tsx|js|json|md|css|html|yml|yaml|txt|sh|svg|csv|ndjson)$|^[^.]*$|\/[^.]*$|^\.[^.]+$|\.oxlintrc/

function findings(name: string, text: string): readonly string[] {
  const lines = text.split('\n')
  return RULES.flatMap((rule) =>
    lines.flatMap((line, index) => (rule.pattern.test(line) ? [`${name}:${index + 1}: ${rule.what}: ${line.trim().slice(0, 120)}`] : [])),
  )
}

describe('repository', () => {
  test('says nothing of a machine, a network or its making', () => {
    const files = treeFiles().filter((name) => TEXT.test(name))
    assert.ok(files.length > 20)
    assert.deepEqual(
      files.flatMap((name) => findings(name, readTreeFile(name))),
      [],
    )
  })

  test('the rules find what they ban', () => {
    const planted = [
      'see /ro' + 'ot/x',
      'in /wo' + 'rk/main',
      '../sha' + 'red/x',
      'regis' + 'try.npmjs.org',
      'by Cla' + 'ude',
      '// TO' + 'DO later',
    ]
    for (const line of planted) assert.equal(findings('planted', line).length, 1, line)
    assert.deepEqual(findings('clean', 'a disk at /dev/sda, the working set, https://example.org/work'), [])
  })

  test('the lock file names no host, and every platform, so that `npm ci` takes it anywhere', () => {
    const lock = JSON.parse(readTreeFile('package-lock.json')) as Lock
    const hosts = Object.entries(lock.packages).filter(([, entry]) => entry.resolved?.includes('://') === true)
    assert.deepEqual(hosts, [], 'install with the .npmrc of this repository')
    assert.deepEqual([...missingEntries(lock).keys()], [], 'run `npm run lock`')
  })

  test('the platform of a package is read from its name', () => {
    assert.deepEqual(platformOf('@oxlint/binding-linux-x64-musl'), { os: ['linux'], cpu: ['x64'], libc: ['musl'] })
    assert.deepEqual(platformOf('@oxlint/binding-linux-arm-gnueabihf'), { os: ['linux'], cpu: ['arm'], libc: ['glibc'] })
    assert.deepEqual(platformOf('@duckdb/node-bindings-darwin-arm64'), { os: ['darwin'], cpu: ['arm64'] })
    assert.equal(platformOf('fsevents'), undefined)
  })

  test('versions are exact', () => {
    const manifests = treeFiles().filter((name) => name.endsWith('package.json'))
    const loose = manifests.flatMap((name) => {
      const manifest = JSON.parse(readTreeFile(name)) as Readonly<Record<string, Readonly<Record<string, string>> | undefined>>
      const all = { ...manifest['dependencies'], ...manifest['devDependencies'], ...manifest['optionalDependencies'] }
      return Object.entries(all)
        .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        .map(([each, version]) => `${name}: ${each} ${version}`)
    })
    assert.deepEqual(loose, [])
  })
})
