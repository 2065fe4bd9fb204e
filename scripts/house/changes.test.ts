// Fragments of the changelog and decision records are well-formed, so that a release can be assembled from them.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readTreeFile, treeFiles } from './source-files.ts'

/** Kinds of change, in the order in which the changelog lists them. */
const KINDS = ['added', 'changed', 'fixed', 'removed'] as const

function fragmentFault(name: string, text: string): string | undefined {
  const kind = /^changes\/[a-z0-9-]+\.([a-z]+)\.md$/.exec(name)?.[1]
  if (kind === undefined || !KINDS.some((known) => known === kind))
    return `${name}: the name is not WHAT.KIND.md with KIND one of ${KINDS.join(', ')}`
  if (!/^[A-Z`].*[.)]\n$/s.test(text)) return `${name}: write whole sentences, from a capital letter to a full stop and one line end`
  if (text.startsWith('#')) return `${name}: a fragment has no heading; the changelog gives it one`
  return undefined
}

function decisionFault(name: string, text: string): string | undefined {
  const number = /^docs\/adr\/(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1]
  if (number === undefined) return `${name}: the name is not NNNN-what-was-decided.md`
  if (!text.startsWith(`# ${number}: `)) return `${name}: the title is "# ${number}: what was decided"`
  if (!/^Status: (accepted|superseded by \d{4})\b/m.test(text)) return `${name}: say "Status: accepted" or "Status: superseded by NNNN"`
  return text.includes('\n## Context\n') ? undefined : `${name}: missing "## Context"`
}

function faults(folder: string, exempt: string, check: (name: string, text: string) => string | undefined): readonly string[] {
  const names = treeFiles().filter((name) => name.startsWith(folder) && name !== `${folder}${exempt}`)
  return names.map((name) => check(name, readTreeFile(name))).filter((fault) => fault !== undefined)
}

describe('changes and decisions', () => {
  test('every fragment is well-formed', () => {
    assert.deepEqual(faults('changes/', 'README.md', fragmentFault), [])
  })

  test('every decision record is well-formed and has a number of its own', () => {
    assert.deepEqual(faults('docs/adr/', 'template.md', decisionFault), [])
    const numbers = treeFiles()
      .map((name) => /^docs\/adr\/(\d{4})/.exec(name)?.[1])
      .filter((number) => number !== undefined)
    assert.deepEqual(
      numbers.filter((number, index) => numbers.indexOf(number) !== index),
      [],
    )
  })

  test('docs/README.md lists every decision record', () => {
    const list = readTreeFile('docs/README.md')
    const records = treeFiles().filter((name) => /^docs\/adr\/\d{4}/.test(name))
    assert.deepEqual(
      records.filter((name) => !list.includes(`(${name.slice('docs/'.length)})`)),
      [],
    )
  })

  test('the checks find what they look for', () => {
    assert.equal(fragmentFault('changes/a-log.added.md', 'The log is there.\n'), undefined)
    assert.ok(fragmentFault('changes/a-log.md', 'The log is there.\n'))
    assert.ok(fragmentFault('changes/a-log.added.md', 'the log\n'))
    assert.ok(decisionFault('docs/adr/0002-x.md', '# 0002: X\n\n## Context\n'))
  })
})
