// Settings of worker threads, and what a worker is told when it starts. All of it is plain data but the one component, `spawn`.
import type { MessagePort, Worker, WorkerOptions as ThreadOptions } from 'node:worker_threads'
import type { TaskEnvironment } from '../environment.ts'

/** A function that a module exports: lambdas do not cross threads, so a worker imports them itself. */
export interface ModuleExport {
  /** URL of the module, for example `import.meta.url` of a file or `pathToFileURL(path).href`. */
  readonly module: string
  /** Default `default`. */
  readonly exportName?: string
}

/** The export is the pipeline, or a list that holds it. */
export interface WorkerOptions extends ModuleExport {
  /** Threads; task group g of every part runs on worker g % count. More than there are groups are not started. One per core beside the main thread's work is enough. */
  readonly count: number
  /** A native CRC-32C, for workers too: see `useNativeCrc32c`. Default: the one in WebAssembly. */
  readonly nativeCrc32c?: ModuleExport
  /** Starts a thread. Default: `new Worker`. */
  readonly spawn?: (entry: URL, options: ThreadOptions) => Worker
}

export type WorkerSettings = Pick<TaskEnvironment, 'startAt' | 'codegen' | 'guardRows' | 'bounded' | 'aheadBytes' | 'snapshotBytesMin'>

/** What a worker finds in `workerData`. */
export interface WorkerOrder {
  /** Of the pipeline: its module may export several as a list. */
  readonly name: string
  readonly pipeline: Required<ModuleExport>
  readonly nativeCrc32c: Required<ModuleExport> | null
  /** Hash of the plan alone, which the worker's own plan must have. */
  readonly planVersion: string
  /** Code version of the pipeline, which stands in its bindings. */
  readonly codeVersion: string
  readonly settings: WorkerSettings
  readonly index: number
  readonly count: number
  /** The other end is a LogServer. */
  readonly log: MessagePort
}
