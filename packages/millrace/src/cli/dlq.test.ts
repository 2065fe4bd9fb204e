// `millrace dlq`: what its flags take, together and alone, and that nothing is closed that nobody named.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../server/plant.fixture.ts'
import { millrace, PIPELINE, project, type Result, Running } from './cli.fixture.ts'

/** Two letters of one code, then `types` of another. */
function badLines(types: number): string {
  return `{broken\n{broken\n${'{"at":"yesterday","url":"/"}\n'.repeat(types)}`
}

async function letters(types: number): Promise<{ readonly server: Running; readonly dlq: (...args: string[]) => Promise<Result> }> {
  const folder = project({ 'pipeline.ts': PIPELINE })
  const server = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
  await server.says(/page/)
  await millrace(folder, ['produce', 'hits'], badLines(types))
  const dlq = (...args: string[]): Promise<Result> => millrace(folder, ['dlq', ...args])
  await eventually(
    () => dlq('list', '--json'),
    ({ out }) => out.includes('"count":2') && out.includes(`"count":${types}`),
  )
  return { server, dlq }
}

test('a filter takes what fits it and no letter more, whatever stands beside it', async () => {
  const { server, dlq } = await letters(4)
  for (const [args, expected] of [
    [['--code', 'MR_CODEC_JSON_INVALID', '--all'], /MR_CLI_USAGE: `--all` means every letter, and `--code` only some/],
    [['--operator', 'nosuch', '--all'], /`--operator` only some/],
    [['--id', '3', '--all'], /`--id` only some/],
    [['--code', 'MR_CODEC_JSON_INVALID', '-n', '1'], /`dlq discard` has no use for `--limit`/],
    [['--id', ''], /--id must be whole numbers/],
    [['--id', '1,'], /--id must be whole numbers/],
    [[], /say which letters/],
  ] as const) {
    for (const action of ['discard', 'retry']) {
      const { code, errors } = await dlq(action, 'web', ...args)
      assert.equal(code, 2, args.join(' '))
      assert.match(errors, action === 'discard' ? expected : /MR_CLI_USAGE/)
    }
  }
  // Letter 3 has the other code.
  const none = await dlq('discard', 'web', '--id', '3', '--code', 'MR_CODEC_JSON_INVALID')
  assert.deepEqual([none.code, none.out], [1, '0 letters are discarded\n'])
  assert.match((await dlq('discard', 'web', '--id', '0,3', '--code', 'MR_CODEC_JSON_INVALID')).out, /^1 letter is discarded/)
  assert.match((await dlq('discard', 'web', '--code', 'MR_CODEC_JSON_INVALID')).out, /^1 letter is discarded/)
  assert.match((await dlq('discard', 'web', '--all')).out, /^4 letters are discarded/)
  assert.equal(await server.stop(), 0)
})
