// The plant as a process: started, killed with signal 9, started again.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('plant.ts', import.meta.url))
const KEPT_CHARACTERS = 4_000

export class PlantProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<number | null>
  readonly ready: Promise<string>
  #isOver = false
  /** The end of what it said on standard error. */
  errors = ''

  /** @param workers Threads that run its tasks; 0: the main thread does. */
  constructor(folder: string, workers: number) {
    const child = spawn(process.execPath, ['--conditions=mr-source', PROGRAM, String(workers)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, MILLRACE_CRASH_FOLDER: folder },
    })
    this.#child = child
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code) => {
        this.#isOver = true
        resolve(code)
      })
    })
    child.stderr.on('data', (piece: Buffer) => (this.errors = (this.errors + piece.toString()).slice(-KEPT_CHARACTERS)))
    this.ready = new Promise((resolve, reject) => {
      let said = ''
      child.stdout.on('data', (piece: Buffer) => {
        said += piece.toString()
        const match = /^ready (\S+)$/m.exec(said)
        if (match?.[1] !== undefined) resolve(match[1])
      })
      void this.#exited.then((code) => reject(new Error(`the plant ended with code ${String(code)}: ${this.errors}`)))
    })
    // Nobody need wait for a plant that is killed while it starts.
    this.ready.catch(() => undefined)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** The process holds still: it can neither write nor answer. */
  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** @returns The exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return this.#exited
  }
}
