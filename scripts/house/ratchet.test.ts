// Size limits of sources. What is over them stands in ratchet.json with its size; a number there may only go down, and at the limit it leaves.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { root, runProgram } from '../programs.ts'
import { NOTE } from '../test-files.ts'
import { isTest, readTreeFile, treeFiles } from './source-files.ts'

const FILE_LINES_MAX = 800
const FILE_LINES_WARN = 500
const FUNCTION_LINES_MAX = 70

interface Ratchet {
  /** Path to lines. */
  readonly files: Readonly<Record<string, number>>
  /** `path: name of the function` to lines. */
  readonly functions: Readonly<Record<string, number>>
}

const ratchet = JSON.parse(readTreeFile('ratchet.json')) as Ratchet
const sources = treeFiles().filter((name) => /\.(ts|tsx|js)$/.test(name) && !isTest(name))

function lineCount(name: string): number {
  return readTreeFile(name).trimEnd().split('\n').length
}

/** What is wrong between the sizes over the limit and the ratchet, one sentence each. */
function complaints(over: ReadonlyMap<string, number>, allowed: Readonly<Record<string, number>>, max: number): readonly string[] {
  const found: string[] = []
  for (const [name, lines] of over) {
    const limit = allowed[name]
    if (limit === undefined) found.push(`${name} has ${lines} lines; the limit is ${max}: find the missing noun and split it`)
    else if (lines > limit) found.push(`${name} grew from ${limit} to ${lines} lines; it may only shrink`)
    else if (lines < limit) found.push(`${name} shrank to ${lines} lines: write that into ratchet.json`)
  }
  for (const name of Object.keys(allowed)) if (!over.has(name)) found.push(`${name} is within the limit now: take it out of ratchet.json`)
  return found
}

interface Diagnostic {
  readonly filename: string
  readonly message: string
  readonly labels: readonly { readonly span: { readonly line: number } }[]
}

async function lintFunctionLength(): Promise<readonly Diagnostic[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'millrace-ratchet-'))
  try {
    const config = path.join(folder, 'oxlintrc.json')
    const rules = { 'max-lines-per-function': ['error', { max: FUNCTION_LINES_MAX, IIFEs: true }] }
    writeFileSync(config, JSON.stringify({ plugins: [], categories: { correctness: 'off' }, rules }))
    const { stdout } = await runProgram('oxlint', ['--config', config, '--disable-nested-config', '--format', 'json', root], {
      stdout: 'capture',
    })
    return (JSON.parse(stdout) as { readonly diagnostics: readonly Diagnostic[] }).diagnostics
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Functions over the limit. The linter has a real parser, so it counts. */
async function longFunctions(): Promise<ReadonlyMap<string, number>> {
  const found = (await lintFunctionLength()).flatMap((diagnostic): [string, number][] => {
    const file = path.relative(root, path.resolve(root, diagnostic.filename))
    if (isTest(file)) return []
    const lines = Number(/\((\d+)\)/.exec(diagnostic.message)?.[1])
    assert.ok(lines > FUNCTION_LINES_MAX, `cannot read the linter's message: ${diagnostic.message}`)
    // A function without a name is known by the line it starts on.
    const start = readTreeFile(file).split('\n')[(diagnostic.labels[0]?.span.line ?? 1) - 1] ?? ''
    return [[`${file}: ${/`([^`]+)`/.exec(diagnostic.message)?.[1] ?? start.trim()}`, lines]]
  })
  return new Map(found)
}

describe('ratchet', () => {
  test('no file is too long', (t) => {
    const sizes = sources.map((name): [string, number] => [name, lineCount(name)])
    for (const [name, lines] of sizes) if (lines > FILE_LINES_WARN) t.diagnostic(`${NOTE}${name} has ${lines} lines; aim at 100-200`)
    assert.deepEqual(complaints(new Map(sizes.filter(([, lines]) => lines > FILE_LINES_MAX)), ratchet.files, FILE_LINES_MAX), [])
  })

  test('no function is too long', async () => {
    assert.deepEqual(complaints(await longFunctions(), ratchet.functions, FUNCTION_LINES_MAX), [])
  })

  test('the ratchet only turns one way', () => {
    const over = new Map([
      ['new', 90],
      ['same', 90],
      ['more', 91],
      ['less', 89],
    ])
    const found = complaints(over, { same: 90, more: 90, less: 90, gone: 90 }, 70)
    assert.deepEqual(
      found.map((each) => each.split(' ')[0]),
      ['new', 'more', 'less', 'gone'],
    )
  })
})
