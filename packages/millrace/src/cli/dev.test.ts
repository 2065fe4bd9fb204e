// `millrace dev`: a change restarts, a mistake does not, and the data stays.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { nodeDisk } from '@millrace/core/engine'
import { eventually } from '../server/plant.fixture.ts'
import { hitLines, millrace, PIPELINE, project, Running } from './cli.fixture.ts'

const USES_OTHER = PIPELINE.replace('60_000', 'SIZE_MS').replace(
  "from 'millrace'\n",
  "from 'millrace'\nimport { SIZE_MS } from './size.ts'\n",
)

test('dev restarts when a module changes, keeps the old plant while the new file is broken, and keeps the data', async () => {
  const folder = project({ 'pipeline.ts': USES_OTHER, 'size.ts': 'export const SIZE_MS = 60_000\n' })
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await dev.says(/millrace runs: web/)
  await millrace(folder, ['produce', 'hits'], hitLines(120))
  const rows = async (): Promise<number> => (await millrace(folder, ['table', 'per_minute', '--json'])).out.split('\n').length - 1
  await eventually(rows, (count) => count === 6)

  let from = dev.text.length
  writeFileSync(path.join(folder, 'size.ts'), 'export const SIZE_MS = 60_000 +\n')
  await dev.says(/error MR_CLI_FILE: `pipeline\.ts` does not load: SyntaxError: .*\n {2}at .*size\.ts:\d+\n {2}fix: /, from)
  await dev.says(/the version before goes on/, from)
  assert.equal(await rows(), 6)

  from = dev.text.length
  writeFileSync(path.join(folder, 'size.ts'), 'export const SIZE_MS = 60_000\n')
  await dev.says(/loads again, and is the version that runs/, from)

  from = dev.text.length
  writeFileSync(path.join(folder, 'size.ts'), 'export const SIZE_MS = 30_000\n')
  await dev.says(/changed; starting again[^]*rebuilt: .*`per-minute`.* from 120 records of `hits`[^]*millrace runs: web/, from)
  // A stop that is half of a restart is nothing that the user has asked for.
  assert.doesNotMatch(dev.text, /: stopping/)
  // Twelve half minutes of the same events: the log has kept them.
  await eventually(rows, (count) => count === 12)
  assert.equal(await dev.stop(), 0)
})

const COPIES = `import { count, max, ndjsonFile, pipeline, t, topic } from 'millrace'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
const copy = topic('copy', { value: t.object({ at: t.time(), url: t.string() }) })
export default pipeline('web', (mill) => {
  const all = mill.from(hits)
  all.groupBy('url').aggregate({ n: count() }, { name: 'per-url' }).toTable('per_url')
  all.to(copy)
  all.to(ndjsonFile({ path: 'out.ndjson' }), { name: 'file' })
}, { idleMs: 50 })
`

test('dev sends nothing a second time by itself: it says what a rebuild would repeat, and does it when asked', async () => {
  const folder = project({ 'pipeline.ts': COPIES })
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await dev.says(/millrace runs: web/)
  // Nothing has been read yet: nothing can come a second time.
  let from = dev.text.length
  writeFileSync(path.join(folder, 'pipeline.ts'), COPIES.replace('n: count()', "n: count(), first: min('at')").replace('max,', 'min,'))
  await dev.says(/rebuilt: [^]*millrace runs: web/, from)
  from = dev.text.length
  writeFileSync(path.join(folder, 'pipeline.ts'), COPIES)
  await dev.says(/rebuilt: [^]*millrace runs: web/, from)

  await millrace(folder, ['produce', 'hits'], hitLines(20))
  const copies = async (): Promise<number> =>
    (await millrace(folder, ['tail', 'copy', '--from', 'earliest', '-n', '100', '--json'])).out.split('\n').length - 1
  await eventually(copies, (count) => count === 20)

  from = dev.text.length
  writeFileSync(path.join(folder, 'pipeline.ts'), COPIES.replace('n: count()', "n: count(), last: max('at')"))
  await dev.says(
    /MR_RUNTIME_STATE_LAYOUT: .*A rebuild reads 20 records of `hits` again and sends their rows to topic `copy` and sink `file` a second time/,
    from,
  )
  await dev.says(/fix: .*--rebuild[^]*waiting for a change/, from)
  const plan = await millrace(folder, ['plan', 'pipeline.ts'])
  assert.equal(plan.code, 1)
  assert.match(plan.out, /--rebuild reads 20 records of `hits` again; topic `copy` and sink `file` get their rows a second time/)
  assert.equal(await copies(), 20)
  assert.equal(await dev.stop(), 0)

  const again = new Running(folder, ['dev', 'pipeline.ts', '--port', '0', '--rebuild'])
  await again.says(/rebuilt: .*`per-url`.*, whose rows go to topic `copy` and sink `file` again[^]*millrace runs: web/)
  await eventually(copies, (count) => count === 40)
  assert.equal(await again.stop(), 0)
})

test('dev builds state again by itself when the only outputs are new in the same edit', async () => {
  const folder = project({ 'pipeline.ts': PIPELINE })
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await dev.says(/millrace runs: web/)
  await millrace(folder, ['produce', 'hits'], hitLines(20))
  await eventually(
    () => millrace(folder, ['table', 'per_minute', '--json']),
    ({ out }) => out.length > 0,
  )
  const changed = PIPELINE.replace('60_000', '30_000')
    .replace("'millrace'\n", "'millrace'\nimport { ndjsonFile } from 'millrace'\n")
    .replace('}, { idleMs', "  mill.from(hits).to(ndjsonFile({ path: 'out.ndjson' }), { name: 'file' })\n}, { idleMs")
  const from = dev.text.length
  writeFileSync(path.join(folder, 'wanted.ts'), changed)
  const plan = await millrace(folder, ['plan', 'wanted.ts'])
  assert.match(plan.out, /--rebuild reads 20 records of `hits` again; only tables are made of them\./)
  writeFileSync(path.join(folder, 'pipeline.ts'), changed)
  const [said] = await dev.says(/rebuilt: [^]*millrace runs: web/, from)
  assert.doesNotMatch(said, /whose rows go to/)
  assert.equal(await dev.stop(), 0)
})

test('dev waits when the file does not load at first, and starts when it does', async () => {
  const folder = project({ 'pipeline.ts': 'export default 1\n' })
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await dev.says(/its default export is no pipeline/)
  await dev.says(/waiting for a change/)
  writeFileSync(path.join(folder, 'pipeline.ts'), PIPELINE)
  await dev.says(/millrace runs: web/)
  const from = dev.text.length
  // Whoever presses Ctrl-C sends it to the plant as well, which must take it once.
  assert.equal(await dev.interrupt(), 0)
  assert.equal(dev.text.match(/: stopping/g)?.length, 1)
  assert.doesNotMatch(dev.text.slice(from), /waiting for a change/)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const FOR_EVER = `await new Promise(() => undefined)\n${PIPELINE}`

test('a file that loads for ever says so, and can be mended under dev', async () => {
  const folder = project({ 'pipeline.ts': FOR_EVER })
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await dev.says(/millrace: `pipeline\.ts` is still loading: an `await` at the top/)
  writeFileSync(path.join(folder, 'pipeline.ts'), PIPELINE)
  await dev.says(/millrace runs: web/)

  let from = dev.text.length
  writeFileSync(path.join(folder, 'pipeline.ts'), FOR_EVER)
  await dev.says(/millrace: `pipeline\.ts` is still loading/, from)
  from = dev.text.length
  writeFileSync(path.join(folder, 'pipeline.ts'), PIPELINE.replace('60_000', '30_000'))
  await dev.says(/changed; starting again[^]*millrace runs: web/, from)
  assert.equal(await dev.stop(), 0)
})

test('a start that waits for its file ends with the first Ctrl-C, and a look at one ends with dev', async () => {
  const folder = project({ 'forever.ts': FOR_EVER, 'pipeline.ts': PIPELINE })
  const start = new Running(folder, ['start', 'forever.ts', '--port', '0', '--json'])
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await start.says(/"level":"warning","message":"`forever\.ts` is still loading/)
  assert.equal(await start.interrupt(), 0)
  await dev.says(/millrace runs: web/)
  writeFileSync(
    path.join(folder, 'pipeline.ts'),
    `import { writeFileSync } from 'node:fs'\nwriteFileSync('look', \`\${process.pid}\`)\n${FOR_EVER}`,
  )
  await dev.says(/is still loading/)
  const look = Number(readFileSync(path.join(folder, 'look'), 'utf8'))
  assert.equal(await dev.stop(), 0)
  await eventually(
    async () => isAlive(look),
    (alive) => !alive,
  )
})

test('dev ends with the plant when the port is taken, and with usage when it is called wrongly', async () => {
  const folder = project({ 'pipeline.ts': PIPELINE })
  const first = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
  const [, port = ''] = await first.says(/page +http:\/\/127\.0\.0\.1:(\d+)/)
  const second = await millrace(folder, ['dev', 'pipeline.ts', '--port', port, '--data', 'other'])
  assert.equal(second.code, 1)
  assert.match(second.errors, /MR_SERVER_PORT_TAKEN/)
  const third = await millrace(folder, ['dev', 'pipeline.ts', '--prot', '1'])
  assert.equal(third.code, 2)
  assert.match(third.errors, /dev has no flag `--prot`; did you mean `--port`\?/)
  assert.equal(await first.stop(), 0)
})

test('dev waits for a folder that a command reads at the moment', async () => {
  const folder = project({ 'pipeline.ts': PIPELINE })
  const log = path.join(folder, 'data/log')
  nodeDisk.makeFolder(log)
  const lock = nodeDisk.lock(log)
  const dev = new Running(folder, ['dev', 'pipeline.ts', '--port', '0', '--data', 'data'])
  await new Promise((resolve) => setTimeout(resolve, 1500))
  lock.release()
  await dev.says(/millrace runs: web/)
  assert.equal(await dev.stop(), 0)
})
