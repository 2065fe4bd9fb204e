// `npm start`: a whole plant on one machine, fed with real departures over HTTP. `-- --once` sends everything and checks the result.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '@millrace/core/engine'
import { createLogLines, isMillraceError, startPlant } from 'millrace'
import type { Plant } from 'millrace'
import { checkRun } from './check.ts'
import { expectedOf } from './count.ts'
import { feedFlights } from './feed.ts'
import type { FeedProgress } from './feed.ts'
import { readFlights } from './input.ts'
import type { Flights } from './input.ts'
import definition from './pipeline.ts'
import { archiveFolder, dataFolder } from './places.ts'

/** One simulated hour per second. */
const SPEED = 3600
const REPORT_MS = 1000

/** Commits are at most 100 ms apart while there is something to commit: two looks so far apart with the same number of them see a plant at rest. */
const LOOK_MS = 250
const USAGE = `npm start [-- OPTIONS]

  --once       send everything as fast as it is acknowledged, check the result, exit
  --fresh      forget what earlier runs have left
  --port N     port of the page and the collector, default 4410
  --rows N     only the first N departures`
const OPTIONS = {
  once: { type: 'boolean', default: false },
  fresh: { type: 'boolean', default: false },
  port: { type: 'string', default: '4410' },
  rows: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

const values = givenOptions()

function givenOptions() {
  try {
    const given = parseArgs({ options: OPTIONS }).values
    for (const name of ['port', 'rows'] as const)
      if (given[name] !== undefined && !/^\d+$/.test(given[name]))
        throw new TypeError(`--${name} must be a whole number, not \`${given[name]}\``)
    return given
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}\n`)
    process.exit(2)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function progressLine(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[2K${text}`)
  else process.stderr.write(`${text}\n`)
}

/** Where the next run goes on: the first row that was not acknowledged. */
function cursorFile(): string {
  return join(dataFolder(), 'feed.json')
}

function readCursor(): number {
  if (!existsSync(cursorFile())) return 0
  return Number((JSON.parse(readFileSync(cursorFile(), 'utf8')) as { readonly rows: number }).rows)
}

function writeCursor(rows: number): void {
  writeFileSync(cursorFile(), JSON.stringify({ rows }))
}

/** The folder of the data as one types it. */
function folderText(): string {
  return relative(process.cwd(), dataFolder()) || '.'
}

function folderBytes(): number {
  const files = readdirSync(dataFolder(), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  // Blocks rather than lengths: the journal is laid out before it is filled.
  return files.reduce((sum, { parentPath, name }) => sum + 512 * statSync(join(parentPath, name)).blocks, 0)
}

function sizeText(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

/** Records that the pipeline has not read yet. */
function lagOf(plant: Plant): number {
  return plant.status().pipelines.reduce((sum, pipeline) => sum + pipeline.tasks.reduce((all, task) => all + task.lag, 0), 0)
}

/** Waits until everything is read, and what was read is committed. */
async function untilCaughtUp(plant: Plant): Promise<void> {
  for (let before = -1; ;) {
    const tasks = plant.status().pipelines.flatMap((pipeline) => pipeline.tasks)
    const failed = tasks.find((task) => task.phase === 'failed' || task.phase === 'paused')
    if (failed !== undefined)
      throw new Error(`${failed.task} is ${failed.phase}: ${failed.error?.message ?? ''}\nfix: ${failed.error?.fix ?? ''}`)
    const commits = tasks.reduce((sum, task) => sum + task.commits, 0)
    if (lagOf(plant) === 0 && commits === before) return
    before = commits
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

function describe(progress: FeedProgress, flights: Flights, plant: Plant, startedAt: number): string {
  const { rates } = plant.status()
  const share = ((100 * progress.rows) / flights.count).toFixed(1)
  const rate = Math.round(rates.topics['departures'] ?? 0)
  return `flights  ${progress.rows.toLocaleString('en')} of ${flights.count.toLocaleString('en')} (${share} %)  ${new Date(progress.eventTimeMs).toISOString().slice(0, 16)}Z  ${rate.toLocaleString('en')}/s  behind ${lagOf(plant).toLocaleString('en')}  ${Math.round((performance.now() - startedAt) / 1000)} s`
}

async function main(): Promise<number> {
  if (values.help) {
    say(USAGE)
    return 0
  }
  if (values.fresh) rmSync(dataFolder(), { recursive: true, force: true })
  const startedAt = performance.now()
  const plant = await startPlant({
    folder: dataFolder(),
    pipelines: [definition],
    port: Number(values.port),
    log: createLogLines({ clock: systemClock, json: false, out: (line) => void process.stderr.write(line) }),
  })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  say(`The page is at ${plant.url}`)
  say(`Look around in a second terminal: npx millrace status --data ${folderText()}, the same for table, tail and dlq.`)
  const flights = await readFlights(values.rows === undefined ? undefined : Number(values.rows))
  const from = Math.min(readCursor(), flights.count)
  const isAllSent = from === flights.count
  if (isAllSent && !values.once)
    say('Everything was sent by earlier runs, so nothing moves. Ctrl-C, then `npm start -- --fresh`, starts over.')
  else if (from > 0) say(`Going on at departure ${from.toLocaleString('en')}; \`npm start -- --fresh\` starts over.`)
  let reportedAt = 0
  const progress = await feedFlights(flights, {
    url: `${plant.url}/topics/departures`,
    from,
    speed: values.once ? null : SPEED,
    signal: stop.signal,
    onProgress: (now) => {
      if (performance.now() - reportedAt < REPORT_MS) return
      reportedAt = performance.now()
      writeCursor(now.done)
      progressLine(describe(now, flights, plant, startedAt))
    },
  })
  writeCursor(progress.done)
  if (process.stdout.isTTY) say('')
  if (!values.once) {
    if (!stop.signal.aborted) {
      if (!isAllSent) say('All departures are sent; the plant stays up. Ctrl-C ends it, `npm start -- --fresh` starts over.')
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
    }
    await plant.stop()
    say(`stopped; what was acknowledged is kept: ${sizeText(folderBytes())} in ${folderText()}`)
    return 0
  }
  await untilCaughtUp(plant)
  const expected = expectedOf(flights)
  const report = await checkRun(plant, expected, archiveFolder())
  const seconds = (performance.now() - startedAt) / 1000
  for (const line of report.lines) say(line)
  say(
    `${report.ok ? 'ok' : 'WRONG'}: ${flights.count.toLocaleString('en')} departures in ${seconds.toFixed(1)} s, from start to checked archive.`,
  )
  say(`It has left ${sizeText(folderBytes())} in ${folderText()}; \`npm start -- --fresh\` starts over.`)
  return report.ok ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  if (isMillraceError(error)) process.stderr.write(`error ${error.code}: ${error.message}\nfix: ${error.fix}\n`)
  else process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
