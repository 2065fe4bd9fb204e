// The pages of reference: their tables are the code's, every command and route has its section, and their examples do what they show.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { COMMANDS } from '../packages/millrace/src/cli/main.ts'
import { allRoutes, cliDocument, httpDocument, settingsDocument } from '../scripts/write-reference.ts'
import { ALL_MS, blocksOf, follow, freePort, ROOT, Stranger } from './page.fixture.ts'

const pageOf = (name: string): string => readFileSync(path.join(ROOT, 'docs', name), 'utf8')
const markersOf = (name: string): readonly string[] =>
  [...pageOf(name).matchAll(/^<!-- (?!end)(.+) -->$/gm)].map((match) => match[1] as string)

describe('reference', () => {
  test('the tables of settings.md, cli.md and http.md are those of the code', () => {
    const stale = [
      ['settings.md', settingsDocument()],
      ['cli.md', cliDocument(pageOf('cli.md'))],
      ['http.md', httpDocument(pageOf('http.md'))],
    ].filter(([name = '', text]) => pageOf(name) !== text)
    assert.deepEqual(
      stale.map(([name]) => name),
      [],
      'run `npm run errors`',
    )
  })

  test('every command and every route has its section', () => {
    assert.deepEqual(markersOf('cli.md').toSorted(), ['common flags', ...COMMANDS.map(({ name }) => `flags of ${name}`)].toSorted())
    assert.deepEqual(
      markersOf('http.md').toSorted(),
      allRoutes()
        .map(({ method, path: address }) => `${method} ${address}`)
        .toSorted(),
    )
  })

  for (const page of ['cli.md', 'http.md']) {
    test(`${page} does what it says`, { timeout: ALL_MS }, async () => {
      const stranger = new Stranger(await freePort())
      try {
        await follow(stranger, page, blocksOf(`docs/${page}`))
      } finally {
        await stranger.leave()
      }
    })
  }
})
