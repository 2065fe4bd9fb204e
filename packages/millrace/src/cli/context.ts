// What a command is handed: the machine's doors, so that nothing behind the entry point reaches for them by itself.
import type { Clock, Disk, Scheduler } from '@millrace/core/engine'
import type { Settings } from './settings.ts'
import type { PlantReport } from './supervise.ts'

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  /** Results: what a program behind a pipe reads. */
  readonly out: (text: string) => void
  /** Everything else: progress, warnings, errors. */
  readonly note: (text: string) => void
  readonly stdin: NodeJS.ReadableStream
  /** True when standard output is a terminal. */
  readonly isTerminal: boolean
  /** Resolves at the first stop signal; a second one ends the process at once. */
  readonly stopSignal: () => Promise<string>
  /** Says something to the process that supervises this one; nothing where none does. */
  readonly report: (report: PlantReport) => void
  /** Node's own flags with which this process was started, for processes that it starts. */
  readonly nodeFlags: readonly string[]
  /** Path of the command line's entry file. */
  readonly entry: string
  /** Loads user modules and says which were loaded. */
  readonly modules: ModuleWatch
}

/** User modules that the process has loaded so far. */
export interface ModuleWatch {
  /** Paths and hashes of the files' contents, in the order they were loaded; packages in node_modules left out. */
  list(): readonly { readonly path: string; readonly hash: string }[]
}

export interface Option {
  /** As written behind `--`. */
  readonly name: string
  readonly short?: string
  /** Name of the value in the help; without one the option is a switch. */
  readonly value?: string
  readonly summary: string
}

export interface Command {
  readonly name: string
  /** What follows the name, as in the help: `FILE`, `TOPIC`, `create|set|delete NAME`. */
  readonly usage: string
  readonly summary: string
  readonly options: readonly Option[]
  readonly examples: readonly { readonly line: string; readonly does: string }[]
  /** Least and most words behind the name. */
  readonly words: readonly [number, number]
  /** Returns the exit code: 0, or 1 for what was found (fsck) or is wrong (doctor). Throws MillraceError. */
  readonly run: (context: CliContext, invocation: Invocation) => Promise<number>
}

export interface Invocation {
  readonly words: readonly string[]
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly settings: Settings
  readonly json: boolean
}
