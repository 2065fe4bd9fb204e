// `millrace topics`: it says what happened, and nothing that did not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millrace, project } from './cli.fixture.ts'

test('create says whether the topic was there, and refuses other settings than it has', async () => {
  const folder = project()
  const create = (...flags: string[]) => millrace(folder, ['topics', 'create', 'orders', ...flags])
  assert.equal((await create('--partitions', '2')).out, 'orders created\n')
  for (const flags of [[], ['--partitions', '2']])
    assert.deepEqual(await create(...flags), { code: 0, out: 'orders exists already; nothing changed\n', errors: '' })
  assert.equal((JSON.parse((await create('--json')).out) as { readonly created: boolean }).created, false)
  for (const flags of [['--partitions', '3'], ['--retention-ms', '1000'], ['--compacted']]) {
    const { code, out, errors } = await create(...flags)
    assert.deepEqual([code, out], [1, ''])
    assert.match(errors, /^error MR_TOPIC_EXISTS: .*current=`/)
  }
})

test('set without a setting is refused, with what there is to set', async () => {
  const folder = project()
  await millrace(folder, ['topics', 'create', 'orders'])
  const { code, out, errors } = await millrace(folder, ['topics', 'set', 'orders'])
  assert.deepEqual([code, out], [2, ''])
  assert.match(
    errors,
    /^error MR_CLI_USAGE: `topics set` has nothing to set\.\n {2}fix: .*--retention-ms, --retention-bytes or --batch-bytes-max/,
  )
})
