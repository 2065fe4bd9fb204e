// Commands are written as users type them. millrace is a dependency of their project, so it is `npx millrace`: everywhere, or somebody copies one
// that his shell does not know.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { execFileSync } from 'node:child_process'

const ROOT = path.join(import.meta.dirname, '../..')
const COMMANDS = 'init|check|plan|dev|start|produce|table|tail|topics|status|dlq|replay|doctor|fsck'
const BARE = new RegExp(`(?<!npx )(?<![\\w/@.-])millrace (?:${COMMANDS})(?![\\w-])`)

/** What a user reads: pages, messages, alert rules. Not comments, decisions and fragments, which name a command. */
function isShown(file: string): boolean {
  if (/^(?:changes|docs\/adr|docs\/formats|bench|sim)\//.test(file)) return false
  return /^(?:docs|packages|examples|README)/.test(file) && /\.(?:ts|tsx|md|yaml)$/.test(file)
}

function bareLines(file: string, text: string): readonly string[] {
  return text.split('\n').filter((line) => BARE.test(line) && !(/\.tsx?$/.test(file) && line.trim().startsWith('//')))
}

describe('commands', () => {
  test('every command in a page or message begins with npx', () => {
    const files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n').filter(isShown)
    assert.ok(files.length > 100)
    const found = files.flatMap((file) =>
      bareLines(file, readFileSync(path.join(ROOT, file), 'utf8')).map((line) => `${file}: ${line.trim()}`),
    )
    assert.deepEqual(found, [])
  })

  test('the check finds what it looks for', () => {
    assert.equal(bareLines('a.md', 'Run `millrace fsck`.').length, 1)
    assert.equal(bareLines('a.md', 'Run `npx millrace fsck`; millrace starts then.').length, 0)
    assert.equal(bareLines('a.ts', '// `millrace fsck`: checks').length, 0)
    assert.equal(bareLines('a.md', 'millrace runs: web').length, 0)
  })
})
