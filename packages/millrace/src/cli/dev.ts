// `millrace dev FILE`: runs a file and starts it again when it, or a module that it loads, changes. The data stays.
// The new file is looked at first, in a process of its own: while it does not load, the old one goes on and the error is shown with its place.
//
//   parent: watches and decides          child `start FILE`: the plant          child `check FILE`: loads, plans, says what it loaded
import { type ChildProcess, spawn } from 'node:child_process'
import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { MillraceError } from '@millrace/core/engine'
import type { CliContext, Command, Invocation } from './context.ts'
import { loadPipelines } from './load-pipelines.ts'

/** Editors write a file in several steps. */
const SETTLE_MS = 60

interface Checked {
  readonly isGood: boolean
  readonly modules: readonly string[]
  /** Hashes of the modules' content: a save without a change starts nothing. */
  readonly hash: string
}

export const dev: Command = {
  name: 'dev',
  usage: 'FILE',
  summary: 'Runs a file with its page, and starts it again when it changes. The data stays.',
  options: [{ name: 'no-rebuild', summary: 'Refuse a start whose state has another layout, instead of building it again.' }],
  examples: [
    { line: 'millrace dev pipeline.ts', does: 'edit, save, look' },
    { line: 'millrace dev pipeline.ts --data /tmp/try --port 0', does: 'on data of its own and a free port' },
  ],
  words: [1, 1],
  async run(context, invocation) {
    const session = new DevSession(context, invocation)
    try {
      return await session.run()
    } finally {
      session.close()
    }
  },
}

/** Loads a file and says which modules it is made of; run by `dev` in a process of its own. */
export const check: Command = {
  name: 'check',
  usage: 'FILE',
  summary: 'Loads a file and says whether its pipelines are valid. Runs nothing.',
  options: [],
  examples: [{ line: 'millrace check pipeline.ts', does: 'exit code 1 and the place when something is wrong' }],
  words: [1, 1],
  async run(context, { words, json }) {
    const say = (pipelines: readonly string[]): void => {
      const modules = context.modules.list()
      if (json)
        context.out(
          `${JSON.stringify({ pipelines, modules: modules.map(({ path }) => path), hash: modules.map(({ hash }) => hash).join(' ') })}\n`,
        )
      else context.out(`valid: ${pipelines.join(', ')}\n`)
    }
    try {
      say((await loadPipelines(words[0] as string, context.cwd)).map(({ name }) => name))
    } catch (error) {
      // Also what did load is to be watched: the mistake may be there.
      if (json) say([])
      throw error
    }
    return 0
  },
}

class DevSession {
  readonly #context: CliContext
  readonly #file: string
  readonly #flags: readonly string[]
  readonly #startFlags: readonly string[]
  readonly #watchers = new Map<string, FSWatcher>()
  #watched: ReadonlySet<string> = new Set()
  #changed: () => void = () => undefined
  #plant: ChildProcess | null = null

  constructor(context: CliContext, invocation: Invocation) {
    this.#context = context
    this.#file = invocation.words[0] as string
    this.#flags = Object.entries(invocation.options).flatMap(([name, value]) =>
      value === undefined || value === false || name === 'no-rebuild' ? [] : [value === true ? `--${name}` : `--${name}=${value}`],
    )
    this.#startFlags = invocation.options['no-rebuild'] === true ? [] : ['--rebuild']
  }

  async run(): Promise<number> {
    const stopped = this.#context.stopSignal()
    let running = ''
    let isStopped = false
    void stopped.then(() => {
      isStopped = true
      this.#changed()
    })
    for (;;) {
      const next = this.#nextChange()
      const checked = await this.#check()
      if (isStopped) break
      this.#watch(checked.modules)
      if (!checked.isGood)
        this.#context.note(
          this.#plant === null ? 'millrace: waiting for a change\n' : 'millrace: the version before goes on; waiting for a change\n',
        )
      else if (checked.hash !== running || this.#plant === null) {
        if (this.#plant !== null) this.#context.note('millrace: changed; starting again\n')
        await this.#stopPlant()
        running = checked.hash
        this.#startPlant()
      }
      await next
      if (isStopped) break
    }
    await this.#stopPlant()
    return 0
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
  }

  /** Resolves after the next change of a watched file, or the end of the plant. */
  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => void this.#context.scheduler.after(SETTLE_MS, resolve)
    })
  }

  async #check(): Promise<Checked> {
    // Only where the file is: neither port nor data matter to a look.
    const child = this.#spawn(['check', this.#file, '--json'], ['ignore', 'pipe', 'pipe'])
    let out = ''
    let errors = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const code = await exitOf(child)
    const said = (out === '' ? { modules: [], hash: '' } : JSON.parse(out.split('\n')[0] as string)) as {
      readonly modules: readonly string[]
      readonly hash: string
    }
    if (code !== 0) this.#context.note(shownError(errors))
    return { isGood: code === 0, ...said }
  }

  #startPlant(): void {
    const child = this.#spawn(['start', this.#file, ...this.#flags, ...this.#startFlags], ['ignore', 'inherit', 'inherit'])
    this.#plant = child
    child.once('exit', () => {
      if (this.#plant !== child) return
      this.#plant = null
      this.#context.note('millrace: stopped; waiting for a change\n')
    })
  }

  async #stopPlant(): Promise<void> {
    const child = this.#plant
    this.#plant = null
    if (child === null || child.exitCode !== null) return
    child.kill('SIGTERM')
    await exitOf(child)
  }

  #spawn(args: readonly string[], stdio: ('ignore' | 'pipe' | 'inherit')[]): ChildProcess {
    const { nodeFlags, entry, cwd, env } = this.#context
    return spawn(process.execPath, [...nodeFlags, entry, ...args], { cwd, env, stdio })
  }

  /** Watches the folders of the modules: an editor that replaces a file would take a watch of the file itself away. */
  #watch(modules: readonly string[]): void {
    if (modules.length === 0) return
    this.#watched = new Set(modules)
    const folders = new Set(modules.map((path) => dirname(path)))
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue
      this.#watchers.set(
        folder,
        watch(folder, (_event, name) => {
          if (name === null || this.#watched.has(`${folder}/${name}`)) this.#changed()
        }),
      )
    }
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new MillraceError('MR_CLI_FILE', { message: `a process cannot be started: ${error.message}`, cause: error })),
    )
    child.once('close', (code) => resolve(code ?? 1))
  })
}

/** The child speaks JSON; people get the same words as everywhere. */
function shownError(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? ''
  try {
    const { error } = JSON.parse(line) as {
      readonly error: {
        readonly code: string
        readonly message: string
        readonly fix: string
        readonly details: { readonly place?: string }
      }
    }
    const { place } = error.details
    return `error ${error.code}: ${place === undefined ? error.message : error.message.replace(/,? *place=`[^`]*`/, '')}${place === undefined ? '' : `\n  at ${place}`}\n  fix: ${error.fix}\n`
  } catch {
    return text
  }
}
