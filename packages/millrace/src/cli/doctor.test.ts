// Doctor beside a server that asks for a token: what others are not told it knows from its own folder.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millrace, PIPELINE, project, Running } from './cli.fixture.ts'

test('the port of the own server is its own, also when it asks for a token; that of another one is taken', async () => {
  const folder = project({ 'pipeline.ts': PIPELINE, 'millrace.yaml': 'token: x\n' })
  const server = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
  const [, port = ''] = await server.says(/page +http:\/\/127\.0\.0\.1:(\d+)/)
  const own = await millrace(folder, ['doctor', '--port', port])
  assert.match(own.out, /ok +port +127\.0\.0\.1:\d+ is taken by millrace, process \d+, folder .*millrace-data\n/)
  assert.match(own.out, /ok +server +pipeline web: works/)
  assert.equal(own.code, 0)
  const other = await millrace(project(), ['doctor', '--port', port])
  assert.match(other.out, /problem port +127\.0\.0\.1:\d+ is taken by millrace\n +fix: /)
  assert.equal(await server.stop(), 0)
})
