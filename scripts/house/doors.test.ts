// What the lint rules cannot see: ways around the doors to time, chance and timers, and tests that do not run.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isTest, readTreeFile, treeFiles } from './source-files.ts'

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
}

const BANS: readonly Ban[] = [
  { pattern: /\bnew Date\(\s*\)/, instead: '`clock.nowMs` of base/clock.ts' },
  {
    pattern: /\bglobalThis\s*(\.|\[)\s*['"]?(setTimeout|setInterval|setImmediate|performance|Date|crypto)/,
    instead: 'base/clock.ts or base/scheduler.ts',
  },
  { pattern: /\bprocess\.(hrtime|uptime)\b/, instead: '`clock.monotonicMs` of base/clock.ts' },
  { pattern: /\bAtomics\.waitAsync\b/, instead: 'base/scheduler.ts' },
]

/** The entry of the command line may ask the machine; everything behind it is handed what it needs. */
const EXEMPT = /^packages\/(core\/src\/base\/|millrace\/src\/cli\.ts$|console\/)/

function findings(text: string, bans: readonly Ban[]): readonly string[] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    const code = line.replace(/\/\/.*$/, '').replace(/^\s*\*.*$/, '')
    return bans.filter((ban) => ban.pattern.test(code)).map((ban) => `${index + 1}: \`${line.trim()}\`: use ${ban.instead}`)
  })
}

describe('doors', () => {
  test('packages reach clock, chance and timers through base/ alone', () => {
    const files = treeFiles().filter((name) => /^packages\/[^/]+\/src\/.*\.tsx?$/.test(name) && !isTest(name) && !EXEMPT.test(name))
    const found = files.flatMap((name) => findings(readTreeFile(name), BANS).map((finding) => `${name}:${finding}`))
    assert.deepEqual(found, [])
  })

  test('no test is switched off or runs alone', () => {
    const pattern = new RegExp(String.raw`\b(test|it|describe|suite)\.(skip|only|todo)\(|\b(skip|only|todo): true`)
    const bans = [
      { pattern, instead: 'a test that runs; a program of the system that may be missing goes into scripts/system-programs.ts' },
    ]
    const files = treeFiles().filter((name) => /\.test\.tsx?$/.test(name))
    const found = files.flatMap((name) => findings(readTreeFile(name), bans).map((finding) => `${name}:${finding}`))
    assert.deepEqual(found, [])
  })

  test('the bans find what they ban', () => {
    const text = ['const at = new Date()', 'globalThis.setTimeout(run, 5)', '// new Date()', 'new Date(5)', 'process.hrtime.bigint()'].join(
      '\n',
    )
    assert.deepEqual(
      findings(text, BANS).map((finding) => finding.split(':')[0]),
      ['1', '2', '5'],
    )
  })
})
