// The command line as a process of its own, on this Node, over a project of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../server/plant.fixture.ts'

const ENTRY = fileURLToPath(new URL('../cli.ts', import.meta.url))
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
const PATIENCE_MS = 30_000

const children = new Set<ChildProcess>()
after(() => {
  for (const child of children) child.kill('SIGKILL')
})

export interface Result {
  readonly code: number
  readonly out: string
  readonly errors: string
}

/** A folder in which `import 'millrace'` works, with these files. */
export function project(files: Readonly<Record<string, string>> = {}): string {
  const folder = temporaryFolder()
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(PACKAGE, path.join(folder, 'node_modules/millrace'))
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) writeFileSync(path.join(folder, name), text)
  return folder
}

function start(cwd: string, args: readonly string[], detached = false): ChildProcess {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith('MILLRACE_') && name !== 'NODE_OPTIONS' && name !== 'NODE_TEST_CONTEXT',
    ),
  )
  const child = spawn(process.execPath, ['--conditions=mr-source', ENTRY, ...args], { cwd, env, stdio: 'pipe', detached })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Runs a command to its end. */
export function millrace(cwd: string, args: readonly string[], input = ''): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = start(cwd, args)
    let out = ''
    let errors = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? -1, out, errors }))
    child.stdin?.end(input)
  })
}

/** A command that goes on, whose output can be waited for. */
export class Running {
  readonly #child: ChildProcess
  readonly #ended: Promise<number>
  #text = ''
  #wake: () => void = () => undefined

  constructor(cwd: string, args: readonly string[]) {
    // A group of its own, as a shell makes one, so that a terminal's signal can be played.
    this.#child = start(cwd, args, true)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#text += text
        this.#wake()
      })
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        resolve(code ?? -1)
        this.#wake()
      })
    })
  }

  get text(): string {
    return this.#text
  }

  /** The match of a pattern in what the command says from `from` on. */
  async says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    const timer = setTimeout(() => this.#wake(), PATIENCE_MS)
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const match = pattern.exec(this.#text.slice(from))
      if (match !== null) {
        clearTimeout(timer)
        return match
      }
      if (Date.now() >= deadline || this.#child.exitCode !== null)
        throw new Error(`it never said ${String(pattern)}; it said:\n${this.#text}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Ctrl-C in a terminal: every process of the group gets it. Resolves to the exit code. */
  async interrupt(): Promise<number> {
    process.kill(-(this.#child.pid ?? 0), 'SIGINT')
    return this.#ended
  }

  /** Sends a signal and resolves to the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.#child.kill(signal)
    return this.#ended
  }
}

/** Counts hits per url and minute; closes an idle partition at once. */
export const PIPELINE = `import { count, pipeline, t, topic, tumbling } from 'millrace'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
export default pipeline('web', (mill) => {
  mill.from(hits).groupBy('url').window(tumbling({ sizeMs: 60_000 })).aggregate({ hits: count() }, { name: 'per-minute' }).toTable('per_minute')
}, { idleMs: 50 })
`

/** Two pipelines that would write to one file. */
export const ONE_FILE = `import { ndjsonFile, pipeline, t, topic } from 'millrace'
const hits = topic('hits', { value: t.object({ url: t.string() }) })
export default ['a', 'b'].map((name) => pipeline(name, (mill) => mill.from(hits).to(ndjsonFile({ path: 'out.ndjson' }), { name: name + '-out' })))
`

export function hitLines(count: number): string {
  return Array.from({ length: count }, (_, n) => `{"at":${1_767_225_600_000 + n * 1000},"url":"/${n % 3}"}\n`).join('')
}
