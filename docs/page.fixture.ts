// Follows a page of the documentation as a stranger would: writes its files, runs its commands and compares what comes out with what it shows.
// ```LANGUAGE PATH: a file. ```sh: commands. ```sh terminal-1: a command that stays, until the next one of that terminal or a block of
// ```sh stopped. ```sh fails: commands of which the last one must fail. ```text: the output of the block before; white space does not count, `…` stands for anything. The files lie in a temporary folder that borrows node_modules.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Root of the repository. */
export const ROOT = dirname(import.meta.dirname)
const STEP_MS = 20_000
/** Time that one page may take. */
export const ALL_MS = 120_000
const RETRY_MS = 50
/** Commands that may be given again until they show what the page shows: tables follow an answer by milliseconds. */
const READS = /^(?:curl (?!.* (?:-d|-X|--data-binary) )|(?:npx )?millrace (?:table|tail|status|topics$|plan|dlq (?:list|show)))/

/** A fenced block of a page. */
export interface Block {
  readonly line: number
  readonly language: string
  readonly info: string
  readonly text: string
}

/** All fenced blocks of a page that name a language. */
export function blocksOf(page: string): readonly Block[] {
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

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

/** What `npx millrace` runs, and `millrace` where a page leaves npx out. */
const MILLRACE = `#!/bin/sh
[ "$1" = millrace ] && shift
exec ${ROOT}/node_modules/.bin/node --conditions=mr-source ${ROOT}/packages/millrace/src/cli.ts "$@"
`

/** A Node that runs the sources of what it borrows. */
const NODE = `#!/bin/sh
exec ${ROOT}/node_modules/.bin/node --conditions=mr-source "$@"
`

/** The scripts of a project, over the sources that it borrows; scripts/house/pack.test.ts installs one for good. */
const NPM = `#!/bin/sh
case "$*" in
  install) ;;
  test) exec ${ROOT}/node_modules/.bin/node --conditions=mr-source --test ;;
  'run check') exec ${ROOT}/node_modules/.bin/node ${ROOT}/node_modules/typescript/bin/tsc --customConditions mr-source --exactOptionalPropertyTypes ;;
  *) PATH="\${PATH#*:}" exec npm "$@" ;;
esac
`

/** For machines without curl, behind everything else on the PATH: just what the pages use of it. */
const CURL = `#!${process.execPath}
import { readFileSync } from 'node:fs'
const given = process.argv.slice(2)
const init = { headers: {} }
let url = ''
for (let at = 0; at < given.length; at++) {
  const word = given[at]
  if (word === '-m') init.signal = AbortSignal.timeout(1000 * Number(given[++at]))
  else if (word === '-X') init.method = given[++at]
  else if (word === '-H') {
    const [, name, value] = /^([^:]+): *(.*)$/.exec(given[++at])
    init.headers[name] = value
  } else if (word === '-d' || word === '--data-binary') {
    const body = given[++at]
    init.method ??= 'POST'
    init.headers['content-type'] ??= 'application/x-www-form-urlencoded'
    init.body = body.startsWith('@') ? readFileSync(body.slice(1)) : body
  } else if (!word.startsWith('-')) url = word
}
for await (const chunk of (await fetch('http://' + url, init)).body) process.stdout.write(chunk)
`

const CLONE = 'clone'

/** Somebody who has only the page. */
export class Stranger {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-getting-started-'))
  readonly #port: number
  /** Where `cd` has led to; the beginning stands for the clone. */
  #cwd = CLONE
  #terminal: ChildProcess | null = null
  /** What the command that stays has written: it says why others fail. */
  #said = (): string => ''

  constructor(port: number) {
    this.#port = port
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'))
    mkdirSync(join(this.#folder, CLONE))
    this.write('../package.json', '{ "type": "module" }')
    const programs = { 'last/curl': CURL, 'first/millrace': MILLRACE, 'first/npx': MILLRACE, 'first/npm': NPM, 'first/node': NODE }
    for (const [name, text] of Object.entries(programs)) {
      this.write(join('..', name), text)
      chmodSync(join(this.#folder, name), 0o755)
    }
  }

  /** The page's port is the default one, which may be in use here. */
  own(text: string): string {
    return text.replaceAll('4410', String(this.#port))
  }

  /** To the folder that holds everything. */
  goHome(): void {
    this.#cwd = '.'
  }

  write(name: string, text: string): void {
    const path = join(this.#folder, this.#cwd, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, this.own(text))
  }

  #spawn(command: string, timeoutMs: number): { readonly child: ChildProcess; output(): string } {
    // The runner of tests tells its children by this variable that they are its own; the page's test is not.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawn('/bin/sh', ['-c', this.own(command)], {
      cwd: join(this.#folder, this.#cwd),
      env: {
        ...env,
        PATH: [join(this.#folder, 'first'), env['PATH'] ?? '', join(this.#folder, 'last')].join(':'),
        MILLRACE_PORT: String(this.#port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    return { child, output: () => text }
  }

  /** Runs commands to their end; the last one must succeed, or fail. Reading is repeated until the page's output is there: tables follow an answer by milliseconds. */
  async run(command: string, expected: string | null, fails = false): Promise<void> {
    const endsAt = performance.now() + STEP_MS
    const isRead = READS.test(command)
    for (;;) {
      const { child, output } = this.#spawn(command, STEP_MS)
      const code = await new Promise((resolve) => child.once('close', resolve))
      const isRight = (code === 0) !== fails && (expected === null || matches(output(), expected))
      if (isRight) return this.#follow(command)
      if (!isRead || performance.now() > endsAt)
        assert.equal(output(), expected ?? '', `${command} ended with ${String(code)}; terminal 1 says:\n${this.#said()}`)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  /** A block that ends in another folder leaves its reader there. */
  #follow(command: string): void {
    for (const [, folder = '.'] of command.matchAll(/^cd (\S+)$/gm)) this.#cwd = join(this.#cwd, folder)
  }

  /** Runs a command that stays; returns when it has written what the page shows. */
  async stay(command: string, expected: string): Promise<void> {
    await this.stop()
    const { child, output } = this.#spawn(`exec ${command}`, ALL_MS)
    this.#terminal = child
    this.#said = output
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
  return command.replace(
    /^npm start$/,
    `env MILLRACE_DATA=.millrace/flights ${ROOT}/node_modules/.bin/node --conditions=mr-source ${flights} --rows 1000 --port 4410`,
  )
}

/** Does what the blocks say, in their order. */
export async function follow(stranger: Stranger, page: string, blocks: readonly Block[]): Promise<void> {
  for (const [index, { line, language, info, text }] of blocks.entries()) {
    const next = blocks[index + 1]
    const expected = next?.language === 'text' ? stranger.own(next.text) : null
    const what = `${page}:${line}`
    try {
      if (language === 'sh' && info === 'terminal-1') await stranger.stay(withoutSetUp(text.trim()), expected ?? '…')
      else if (language === 'sh') {
        if (info === 'stopped') await stranger.stop()
        await stranger.run(text.trim(), expected, info === 'fails')
      } else if (language !== 'text') stranger.write(info, text)
    } catch (error) {
      throw new Error(what, { cause: error })
    }
  }
}

/** Checks the types of every file that was written. */
export async function compile(stranger: Stranger): Promise<void> {
  stranger.goHome()
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
