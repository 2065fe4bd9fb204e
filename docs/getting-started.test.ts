// Follows getting-started.md as a stranger would: writes its files, runs its commands and compares what comes out with what the page shows.
// ```LANGUAGE PATH: a file. ```sh: commands. ```sh terminal-1: a command that stays, until the next one of that terminal. ```text: the output
// of the block before; white space does not count, `…` stands for anything. The files lie in a temporary folder that borrows node_modules.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'

const ROOT = dirname(import.meta.dirname)
const STEP_MS = 20_000
const ALL_MS = 90_000
const RETRY_MS = 50

interface Block {
  readonly line: number
  readonly language: string
  readonly info: string
  readonly text: string
}

function blocksOf(page: string): readonly Block[] {
  const source = readFileSync(join(ROOT, page), 'utf8')
  return [...source.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(({ index, 1: language = '', 2: info = '', 3: text = '' }) => ({
    line: source.slice(0, index).split('\n').length,
    language,
    info,
    text,
  }))
}

function matches(actual: string, expected: string): boolean {
  const dense = (text: string): string => text.replaceAll(/\s/g, '')
  const pieces = dense(expected)
    .split('…')
    .map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${pieces.join('[^]*')}$`).test(dense(actual))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** For machines without curl, behind everything else on the PATH: just what the page uses of it. */
const CURL = `#!${process.execPath}
const { readFileSync } = require('node:fs')
const [, url, , body] = process.argv.slice(2)
const init = body === undefined ? {} : { method: 'POST', body: body.startsWith('@') ? readFileSync(body.slice(1)) : body, headers: { 'content-type': 'application/x-www-form-urlencoded' } }
fetch('http://' + url, init).then((answer) => answer.text()).then((text) => process.stdout.write(text))
`

class Stranger {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-getting-started-'))
  readonly #port: number
  #terminal: ChildProcess | null = null

  constructor(port: number) {
    this.#port = port
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'))
    this.write('package.json', '{ "type": "module" }')
    this.write('bin/curl', CURL)
    chmodSync(join(this.#folder, 'bin/curl'), 0o755)
  }

  /** The page's port is the default one, which may be in use here. */
  own(text: string): string {
    return text.replaceAll('4410', String(this.#port))
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.#folder, name)), { recursive: true })
    writeFileSync(join(this.#folder, name), this.own(text))
  }

  #spawn(command: string, timeoutMs: number): { readonly child: ChildProcess; output(): string } {
    // The runner of tests tells its children by this variable that they are its own; the page's test is not.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawn('/bin/sh', ['-c', this.own(command)], {
      cwd: this.#folder,
      env: { ...env, PATH: `${env['PATH'] ?? ''}:${join(this.#folder, 'bin')}`, MILLRACE_DATA: join(this.#folder, '.millrace/flights') },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    return { child, output: () => text }
  }

  /** Runs commands to their end. Reading is repeated until the page's output is there: tables follow an answer by milliseconds. */
  async run(command: string, expected: string | null): Promise<void> {
    const endsAt = performance.now() + STEP_MS
    const isRead = command.startsWith('curl') && !/ (-d|--data-binary) /.test(command)
    for (;;) {
      const { child, output } = this.#spawn(command, STEP_MS)
      const code = await new Promise((resolve) => child.once('close', resolve))
      const isRight = code === 0 && (expected === null || matches(output(), expected))
      if (isRight) return
      if (!isRead || performance.now() > endsAt) assert.equal(output(), expected ?? '', `${command} ended with ${String(code)}`)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  /** Runs a command that stays; returns when it has written what the page shows. */
  async stay(command: string, expected: string): Promise<void> {
    await this.stop()
    const { child, output } = this.#spawn(`exec ${command}`, ALL_MS)
    this.#terminal = child
    let isOver = false
    child.once('close', () => (isOver = true))
    while (!matches(output(), expected)) {
      assert.ok(!isOver, `${command} ended with ${output()}`)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  /** Ctrl-C. */
  async stop(): Promise<void> {
    const child = this.#terminal
    this.#terminal = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGINT')
    await closed
  }

  async leave(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** What `npm start` runs, behind the installation and the building of the page, which are there. */
function withoutSetUp(command: string): string {
  const flights = join(ROOT, 'examples/flights/main.ts')
  return command.replace(/^npm start$/, `node_modules/.bin/node --conditions=mr-source ${flights} --rows 1000 --port 4410`)
}

async function follow(stranger: Stranger, blocks: readonly Block[]): Promise<void> {
  for (const [index, { line, language, info, text }] of blocks.entries()) {
    const next = blocks[index + 1]
    const expected = next?.language === 'text' ? stranger.own(next.text) : null
    const what = `getting-started.md:${line}`
    try {
      if (language === 'sh' && info === 'terminal-1') await stranger.stay(withoutSetUp(text.trim()), expected ?? '…')
      else if (language === 'sh') await stranger.run(text.trim(), expected)
      else if (language !== 'text') stranger.write(info, text)
    } catch (error) {
      throw new Error(what, { cause: error })
    }
  }
}

async function compile(stranger: Stranger): Promise<void> {
  const options = { noEmit: true, rewriteRelativeImportExtensions: true }
  stranger.write(
    'tsconfig.json',
    JSON.stringify({
      extends: join(ROOT, 'tsconfig.base.json'),
      compilerOptions: options,
      include: ['**/*.ts'],
      exclude: ['node_modules'],
    }),
  )
  await stranger.run('node_modules/.bin/node node_modules/typescript/bin/tsc -p tsconfig.json', null)
}

describe('pages for strangers', () => {
  test('getting-started.md does what it says', { timeout: ALL_MS }, async () => {
    const stranger = new Stranger(await freePort())
    try {
      const blocks = blocksOf('docs/getting-started.md')
      assert.ok(blocks.length > 20)
      await follow(stranger, blocks)
      await compile(stranger)
    } finally {
      await stranger.leave()
    }
  })

  test('the pipeline of README.md compiles and makes a plan', { timeout: ALL_MS }, async () => {
    const stranger = new Stranger(0)
    try {
      const [example] = blocksOf('README.md').filter(({ language }) => language === 'ts')
      assert.ok(example !== undefined)
      stranger.write('pipeline.ts', example.text)
      await compile(stranger)
      await stranger.run('node_modules/.bin/node --conditions=mr-source pipeline.ts', '')
    } finally {
      await stranger.leave()
    }
  })
})
