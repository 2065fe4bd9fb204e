// `millrace dev FILE`: from the start of the process, in a fresh folder, to the first result that a user can see over HTTP. Once as the first
// start on a machine, which compiles every module, and once as each later one, which finds them in the compile cache.
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'

const PACKAGE = path.resolve(import.meta.dirname, '../../packages/millrace')
const EVENTS = path.join(PACKAGE, 'template/events.ndjson')
const POLL_MS = 2
const PATIENCE_MS = 60_000

export const benchCase: BenchCase = {
  name: 'dev-start',
  summary: 'from the start of `millrace dev FILE` in a fresh folder to the first rows of its table over HTTP',
  bars: [
    { name: 'dev-start', figure: 'laterSeconds', unit: 's', must: 2, aim: 1, better: 'less' },
    { name: 'dev-start, nothing compiled before', figure: 'firstSeconds', unit: 's', must: 2, aim: 1, better: 'less' },
  ],
  everyCore: true,
  own: start,
  obvious: () => Promise.resolve({ figures: {}, answer: answerOf(rowsOfEvents()) }),
}

async function start({ folder, run }: BenchContext): Promise<Measured> {
  const cache = path.join(folder, `compiled-${run}`)
  const first = await timeToFirstResult(path.join(folder, `first-${run}`), cache)
  const later = await timeToFirstResult(path.join(folder, `later-${run}`), cache)
  rmSync(cache, { recursive: true, force: true })
  return {
    figures: { firstSeconds: first.seconds, laterSeconds: later.seconds },
    answer: first.answer === later.answer ? first.answer : `${first.answer}, then ${later.answer}`,
  }
}

/** What `millrace init` makes, with the package linked instead of installed. */
function project(folder: string): void {
  mkdirSync(path.join(folder, 'node_modules'), { recursive: true })
  cpSync(path.join(PACKAGE, 'template/pipeline.ts'), path.join(folder, 'pipeline.ts'))
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}\n')
  symlinkSync(PACKAGE, path.join(folder, 'node_modules/millrace'))
}

async function timeToFirstResult(folder: string, cache: string): Promise<{ readonly seconds: number; readonly answer: string }> {
  project(folder)
  const url = `http://127.0.0.1:${await freePort()}`
  const body = readFileSync(EVENTS)
  const wanted = rowsOfEvents().length
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    ['--conditions=mr-source', path.join(PACKAGE, 'src/cli.ts'), 'dev', 'pipeline.ts', '--port', new URL(url).port],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: cache } },
  )
  try {
    await until(async () => (await fetch(`${url}/health`)).ok)
    await fetch(`${url}/topics/hits`, { method: 'POST', body })
    let rows: readonly Row[] = []
    await until(async () => {
      rows = ((await (await fetch(`${url}/tables/per_minute`)).json()) as { readonly rows: readonly Row[] }).rows
      return rows.length === wanted
    })
    return { seconds: (performance.now() - startedAt) / 1000, answer: answerOf(rows) }
  } finally {
    await stop(child)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Tries until it is true; a server that does not listen yet is no failure. */
async function until(isThere: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(POLL_MS)) {
    try {
      if (await isThere()) return
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
  }
  throw new Error(`nothing to see after ${PATIENCE_MS} ms`)
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await ended
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

interface Row {
  readonly url: string
  readonly windowStart: number
  readonly hits: number
}

function rowsOfEvents(): readonly Row[] {
  const counts = new Map<string, Row>()
  for (const line of readFileSync(EVENTS, 'utf8').trim().split('\n')) {
    const { at, url } = JSON.parse(line) as { readonly at: string; readonly url: string }
    const windowStart = Math.floor(Date.parse(at) / 60_000) * 60_000
    const key = `${url} ${windowStart}`
    counts.set(key, { url, windowStart, hits: (counts.get(key)?.hits ?? 0) + 1 })
  }
  return [...counts.values()]
}

function answerOf(rows: readonly Row[]): string {
  return rows
    .map(({ url, windowStart, hits }) => `${url} ${windowStart} ${hits}`)
    .toSorted()
    .join(', ')
}
