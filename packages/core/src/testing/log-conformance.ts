// The conformance suite of the log port: every law of log/log.ts and every method, for any Log. One file per facet stands beside this one.
//
//   logConformance('MemoryLog', openMemoryLog)   // in a test file
//
// What not every log can do (crash, damage) is a function that its opener may leave out; the tests that need it are then not made.
import { conformCommits } from './log-conformance-commits.ts'
import type { LogOpener } from './log-conformance-kit.ts'
import { conformKeeping } from './log-conformance-keeping.ts'
import { conformProducers } from './log-conformance-producers.ts'
import { conformReading } from './log-conformance-reading.ts'
import { conformRestarts } from './log-conformance-restarts.ts'
import { conformTopics } from './log-conformance-topics.ts'
import { conformToModel } from './log-model.ts'

export type { LogOpener, LogUnderTest } from './log-conformance-kit.ts'

export interface LogConformanceOptions {
  readonly canCrash?: boolean
  readonly canDamage?: boolean
  /** Runs of the comparison with the model. Default 100. */
  readonly modelRuns?: number
}

/** Registers the suite with node:test, every test with a log of its own from `open`. */
export function logConformance(name: string, open: LogOpener, options: LogConformanceOptions = {}): void {
  conformTopics(name, open)
  conformReading(name, open)
  conformCommits(name, open)
  conformProducers(name, open)
  conformKeeping(name, open)
  conformRestarts(name, open, options)
  conformToModel(name, open, options.modelRuns ?? 100)
}
