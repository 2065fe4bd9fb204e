// The pages that a stranger follows are done as they say.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ALL_MS, blocksOf, compile, follow, freePort, Stranger } from './page.fixture.ts'

describe('pages for strangers', () => {
  test('getting-started.md does what it says', { timeout: ALL_MS }, async () => {
    const stranger = new Stranger(await freePort())
    try {
      const blocks = blocksOf('docs/getting-started.md')
      assert.ok(blocks.length > 20)
      await follow(stranger, 'getting-started.md', blocks)
      await compile(stranger)
    } finally {
      await stranger.leave()
    }
  })

  test('the pipeline of README.md compiles and makes a plan', { timeout: ALL_MS }, async () => {
    const stranger = new Stranger(0)
    try {
      const [example] = blocksOf('README.md').filter(({ language }) => language === 'ts')
      assert.ok(example !== undefined)
      stranger.write('pipeline.ts', example.text)
      await compile(stranger)
      await stranger.run('node_modules/.bin/node --conditions=mr-source clone/pipeline.ts', '')
    } finally {
      await stranger.leave()
    }
  })
})
