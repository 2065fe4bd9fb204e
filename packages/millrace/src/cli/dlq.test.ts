// `millrace dlq`: what its flags take, together and alone, and that nothing is closed that nobody named.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../server/plant.fixture.ts'
import { sampleText } from './dlq.ts'
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

test('a sample is cut on a terminal alone, and says that it is', () => {
  const long = 'x'.repeat(79) + '𝄞y'
  assert.deepEqual([sampleText(long, true), sampleText(long, false)], [`${'x'.repeat(79)}…`, long])
  const fits = 'x'.repeat(79) + '𝄞'
  assert.deepEqual([sampleText(fits, true), sampleText(fits, false)], [fits, fits])
})

test('list and show take filters, show has the open letters and says how many there are', async () => {
  const { server, dlq } = await letters(12)
  assert.doesNotMatch((await dlq('list', '--code', 'MR_CODEC_JSON_INVALID')).out, /FIELD_TYPE/)
  // Whoever reads it is no terminal.
  assert.match((await dlq('list')).out, /expected milliseconds or ISO-8601, .*field=`at`\n/)
  assert.doesNotMatch((await dlq('list', 'web', '--operator', 'hits', '--code', 'MR_CODEC_FIELD_TYPE')).out, /JSON_INVALID/)
  for (const args of [
    ['list', '--code', 'MR_NOPE'],
    ['show', 'web', '--code', 'MR_NOPE'],
    ['show', 'web', '--id', '77'],
  ]) {
    const { code, errors, out } = await dlq(...args)
    assert.deepEqual([code, out], [1, ''], args.join(' '))
    assert.match(errors, /^no open letter fits; there is: 12 MR_CODEC_FIELD_TYPE at `hits`, 2 MR_CODEC_JSON_INVALID at `hits`\n$/)
  }
  for (const [flag, value] of [
    ['--id', '3'],
    ['-n', '1'],
  ] as const)
    assert.match((await dlq('list', flag, value)).errors, /MR_CLI_USAGE: `dlq list` has no use for `--(id|limit)`/)

  // The first letter is closed, and stands in front of those that are open.
  await dlq('discard', 'web', '--id', '0')
  const one = await dlq('show', 'web', '-n', '1')
  assert.match(one.out, /^letter 1 .*\n(.*\n)*1 of 13 open letters; `-n` shows more\n$/)
  assert.match((await dlq('show', 'web')).out, /\n10 of 13 open letters; `-n` shows more\n$/)
  assert.match((await dlq('show', 'web', '--code', 'MR_CODEC_JSON_INVALID')).out, /\n1 of 1 open letter\n$/)
  const closed = await dlq('show', 'web', '--closed', '-n', '1')
  assert.match(closed.out, /^letter 0 .*, discarded\n(.*\n)*1 letter; there are more: `-n`\n$/)
  assert.match((await dlq('show', 'web', '--closed', '-n', '14')).out, /\n14 letters\n$/)
  // A letter that is named is shown in any state, and none of those between.
  const named = await dlq('show', 'web', '--id', '13,0', '--json')
  assert.deepEqual(
    [...named.out.matchAll(/"id":(\d+)/g)].map((match) => match[1]),
    ['13', '0'],
  )
  assert.match((await dlq('show', 'web', '--id', '1', '-n', '3')).errors, /MR_CLI_USAGE: /)
  await dlq('discard', 'web', '--all')
  assert.deepEqual(await dlq('show', 'web'), { code: 0, out: 'no open letters\n', errors: '' })
  assert.equal(await server.stop(), 0)
})
