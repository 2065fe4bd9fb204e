// What a file is refused for while it loads, and the place in it that the error names.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { millrace, PIPELINE, project } from './cli.fixture.ts'

test('what code at the top of a file is refused for names the line of that code', async () => {
  const folder = project({
    'unnamed.ts': `import { pipeline } from 'millrace'\nexport default pipeline((mill) => undefined)\n`,
    'misspelt.ts': PIPELINE.replace('idleMs', 'idelMs'),
    'schema.ts': `import { t } from 'millrace'\nexport default t.object({ at: 1 })\n`,
    // A syntax error has its place from Node, in a folder whose name would be cut by a simple pattern as well.
    'broken (1).ts': 'export const a = 1\nexport default a +\n',
  })
  for (const [file, expected] of [
    ['unnamed.ts', /^error MR_PLAN_NAME_INVALID: .*operator=`pipeline`\n {2}at \/.*\/unnamed\.ts:2:\d+\n {2}fix: /],
    ['misspelt.ts', /^error MR_PLAN_SETTING_INVALID: .*idelMs.*\n {2}at \/.*\/misspelt\.ts:3:\d+\n {2}fix: /],
    ['schema.ts', /^error MR_SCHEMA_INVALID: .*\n {2}at \/.*\/schema\.ts:2:\d+\n {2}fix: /],
    [
      'broken (1).ts',
      /^error MR_CLI_FILE: .*SyntaxError: .*\n {2}at \/.*\/broken.*\.ts:\d+\n {2}fix: Correct the file; the place says where/,
    ],
  ] as const) {
    const { code, errors } = await millrace(folder, ['check', file])
    assert.equal(code, 1, file)
    assert.match(errors, expected)
  }
  const json = await millrace(folder, ['check', 'unnamed.ts', '--json'])
  const { error } = JSON.parse(json.errors) as { readonly error: { readonly details: Readonly<Record<string, unknown>> } }
  assert.equal(error.details['operator'], 'pipeline')
  assert.match(String(error.details['place']), /unnamed\.ts:2:\d+$/)
})

test('two pipelines or two sources of one name are refused before anything runs', async () => {
  const [imports = '', one = ''] = PIPELINE.split('export default ')
  const folder = project({
    'pipelines.ts': `${imports}const web = ${one}export default [web, web]\n`,
    'sources.ts': `${imports}import { fileSource, source } from 'millrace'
const lines = (path: string) => source('lines', hits, fileSource({ path }))
export default [lines('a.ndjson'), lines('b.ndjson')]\n`,
  })
  for (const [file, expected] of [
    ['pipelines.ts', /^error MR_PLAN_NAME_TAKEN: two pipelines have the same name\. pipeline=`web`\n {2}fix: /],
    ['sources.ts', /^error MR_PLAN_NAME_TAKEN: two sources have the same name\. source=`lines`\n {2}fix: /],
  ] as const) {
    for (const command of ['check', 'plan', 'start']) {
      const { code, errors } = await millrace(folder, [command, file])
      assert.equal(code, 1, `${command} ${file}`)
      assert.match(errors, expected)
    }
    // Nothing of the plant was made.
    assert.ok(!existsSync(path.join(folder, 'millrace-data')))
  }
})
