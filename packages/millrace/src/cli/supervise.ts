// What `millrace dev` is to the user: a process that starts the plant in another one, and again when a module of it changes.
// A new version is looked at first, in a process of its own: while it does not load, the old one goes on and the error is shown with its place.
// Loads nothing but Node: what this process waits for at its start, the user waits for too.
//
//   this process: watches and decides      child `dev --supervised`: the plant      child `check FILE`: loads, plans, says what it loaded
import { type ChildProcess, spawn } from 'node:child_process'
import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import { LOADING_MS, loadingText } from './loading-text.ts'
import { withoutPlace } from './place-text.ts'

/** Editors write a file in several steps. */
const SETTLE_MS = 60

/** Flag by which the child knows that it is the plant. */
export const SUPERVISED = 'supervised'

/** What a plant says over its channel: what it is made of once its modules were read, or when that takes long, and then how it went on. */
export type PlantReport =
  | ({ readonly kind: 'loaded' | 'loading'; readonly file: string } & LoadedModules)
  /** It will not run, and no change of a module will help: a taken port, a locked folder. */
  | { readonly kind: 'hopeless' }

export interface LoadedModules {
  readonly modules: readonly string[]
  /** Hashes of the modules' content: a save without a change starts nothing. */
  readonly hash: string
}

interface Checked extends LoadedModules {
  readonly isGood: boolean
}

export interface SuperviseContext {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly after: (ms: number, run: () => void) => void
  readonly note: (text: string) => void
  readonly stopSignal: () => Promise<string>
  readonly nodeFlags: readonly string[]
  readonly entry: string
}

/** Runs until it is told to stop. Returns the exit code: that of the plant when it ended before it had a file to watch. */
export async function supervise(args: readonly string[], context: SuperviseContext): Promise<number> {
  const session = new DevSession(args, context)
  try {
    return await session.run()
  } finally {
    session.close()
  }
}

class DevSession {
  readonly #args: readonly string[]
  readonly #context: SuperviseContext
  readonly #watchers = new Map<string, FSWatcher>()
  #watched: ReadonlySet<string> = new Set()
  #changed: () => void = () => undefined
  #plant: ChildProcess | null = null
  #look: ChildProcess | null = null
  /** File of the pipelines, known when the plant has read its arguments. */
  #file: string | null = null
  #hash = ''
  #isStopped = false
  /** Ends the session. */
  #end: (code: number) => void = () => undefined

  constructor(args: readonly string[], context: SuperviseContext) {
    this.#args = args
    this.#context = context
  }

  async run(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#end = resolve
    })
    void this.#context.stopSignal().then((signal) => {
      if (this.#plant !== null) this.#context.note(`millrace: ${signal}: stopping (again to stop at once)\n`)
      this.#isStopped = true
      this.#end(0)
    })
    this.#startPlant()
    void this.#followChanges()
    const code = await ended
    this.#isStopped = true
    await this.#stopPlant()
    return code
  }

  close(): void {
    this.#look?.kill('SIGKILL')
    for (const watcher of this.#watchers.values()) watcher.close()
  }

  async #followChanges(): Promise<void> {
    let wasBad = false
    let change = this.#nextChange()
    for (;;) {
      await change
      // Asked for before the look: what changes during it counts, too, and ends a look at a file that loads for ever.
      change = this.#nextChange()
      const checked = await this.#check(change)
      if (this.#isStopped) return
      if (checked === null) continue
      this.#watch(checked.modules)
      if (!checked.isGood)
        this.#context.note(
          this.#plant === null ? 'millrace: waiting for a change\n' : 'millrace: the version before goes on; waiting for a change\n',
        )
      else if (checked.hash !== this.#hash || this.#plant === null) {
        if (this.#plant !== null) this.#context.note('millrace: changed; starting again\n')
        await this.#stopPlant()
        if (this.#isStopped) return
        this.#startPlant()
      } else if (wasBad) this.#context.note('millrace: it loads again, and is the version that runs\n')
      wasBad = !checked.isGood
    }
  }

  /** Resolves after the next change of a watched file. */
  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => this.#context.after(SETTLE_MS, resolve)
    })
  }

  /** Null when `change` came first: then it is looked at again. */
  async #check(change: Promise<void>): Promise<Checked | null> {
    // Only where the file is: neither port nor data matter to a look.
    const child = this.#spawn(['check', this.#file ?? '', '--json'], ['ignore', 'pipe', 'pipe'])
    this.#look = child
    let isStale = false
    void change.then(() => (isStale = child.exitCode === null && child.kill('SIGKILL')))
    this.#context.after(LOADING_MS, () => {
      if (this.#look === child) this.#context.note(`millrace: ${loadingText(this.#file ?? '')}\n`)
    })
    let out = ''
    let errors = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const code = await exitOf(child)
    this.#look = null
    if (isStale || this.#isStopped) return null
    const said = out === '' ? { modules: [], hash: '' } : (JSON.parse(out.split('\n')[0] as string) as LoadedModules)
    if (code !== 0) this.#context.note(shownError(errors))
    return { isGood: code === 0, ...said }
  }

  #startPlant(): void {
    const child = this.#spawn(['dev', `--${SUPERVISED}`, ...this.#args], ['ignore', 'inherit', 'inherit', 'ipc'])
    this.#plant = child
    let isHopeless = false
    child.on('message', (report: PlantReport) => {
      if (report.kind === 'hopeless') isHopeless = true
      else {
        this.#file = report.file
        this.#hash = report.hash
        this.#watch(report.modules)
        if (report.kind === 'loading') this.#context.note(`millrace: ${loadingText(report.file)}\n`)
      }
    })
    child.once('error', (error) => {
      this.#context.note(`error: a process cannot be started: ${error.message}\n`)
      this.#end(1)
    })
    child.once('close', (code) => {
      if (this.#plant !== child) return
      this.#plant = null
      if (isHopeless || this.#file === null || this.#watched.size === 0) this.#end(code ?? 1)
      else this.#sayWaiting()
    })
  }

  /** The plant may have got the signal that ends this process before it: then nothing waits. */
  #sayWaiting(): void {
    this.#context.after(SETTLE_MS, () => {
      if (!this.#isStopped && this.#plant === null) this.#context.note('millrace: stopped; waiting for a change\n')
    })
  }

  async #stopPlant(): Promise<void> {
    const child = this.#plant
    this.#plant = null
    if (child === null || child.exitCode !== null) return
    const ended = exitOf(child)
    child.kill('SIGTERM')
    await ended
  }

  #spawn(args: readonly string[], stdio: ('ignore' | 'pipe' | 'inherit' | 'ipc')[]): ChildProcess {
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
  return new Promise((resolve) => {
    child.once('error', () => resolve(1))
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
    return `error ${error.code}: ${place === undefined ? error.message : withoutPlace(error.message)}${place === undefined ? '' : `\n  at ${place}`}\n  fix: ${error.fix}\n`
  } catch {
    return text
  }
}
