// `millrace fsck`: what it says of a damaged batch names the records that are lost, and none that is sound.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { millrace, project } from './cli.fixture.ts'

test('the offsets of a damaged batch are its own, first and last', async () => {
  const folder = project()
  await millrace(folder, ['topics', 'create', 'orders'])
  for (const events of ['1', '[2,3,4]', '5']) await millrace(folder, ['produce', 'orders', '--value', events])
  const file = path.join(folder, 'millrace-data/log/topics/t1/0/00000000000000000000.log')
  const sound = readFileSync(file)
  const damage = async (at: number): Promise<string> => {
    const bytes = Buffer.from(sound)
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    writeFileSync(file, bytes)
    const { code, out } = await millrace(folder, ['fsck'])
    assert.equal(code, 1, out)
    return out
  }
  assert.match(await damage(Math.round(sound.length / 2)), /segment batch: orders\/0 offsets 1 to 3 /)
  assert.match(await damage(sound.length - 2), /segment batch: orders\/0 offset 4 /)
})
