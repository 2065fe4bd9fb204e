// The example as its user runs it: a first part of the input, then the rest on top of what the first run left, checked by the count.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const TIMEOUT_MS = 120_000

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

function run(folder: string, args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const result = spawnSync(process.execPath, ['--conditions=mr-source', join(import.meta.dirname, 'main.ts'), ...args], {
    env: { ...process.env, MILLRACE_DATA: folder },
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  return { status: result.status, output: `${result.stdout}${result.stderr}` }
}

/** `npm start` until it says the words, then Ctrl-C. */
async function startUntil(
  folder: string,
  args: readonly string[],
  words: RegExp,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, ['--conditions=mr-source', join(import.meta.dirname, 'main.ts'), ...args], {
    env: { ...process.env, MILLRACE_DATA: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  let output = ''
  let isAsked = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (!isAsked && words.test(output)) isAsked = child.kill('SIGINT')
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, output }
}

test('the flights arrive whole, also over a restart', { timeout: 2 * TIMEOUT_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-flights-'))
  try {
    const port = String(await freePort())
    const first = run(folder, ['--once', '--rows', '60000', '--port', port])
    assert.equal(first.status, 0, first.output)
    assert.match(first.output, /ok: 60,000 departures/)
    const second = run(folder, ['--once', '--rows', '120000', '--port', port])
    assert.equal(second.status, 0, second.output)
    assert.match(second.output, /Going on at departure 60,000/)
    assert.match(second.output, /ok: 120,000 departures/)
    assert.match(second.output, /It has left \d+ MiB in .*--fresh/)
    const third = await startUntil(
      folder,
      ['--rows', '120000', '--port', port],
      /Everything was sent by earlier runs.*npm start -- --fresh/,
    )
    assert.equal(third.code, 0, third.output)
    assert.match(third.output, /npx millrace status --data /)
    assert.match(third.output, /stopped; what was acknowledged is kept: \d+ MiB in .*\n$/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
