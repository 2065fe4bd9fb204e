// The conformance suite of the log port: every law of log/log.ts and every method, for any Log. One file per facet stands beside this one.
//
//   logConformance('MemoryLog', openMemoryLog)   // in a test file
//
// What not every log can do (crash, damage) is a function that its opener may leave out; the tests that need it are then not made.
import { commitsLaws } from './log-conformance-commits.ts'
import { type LogLaw, type LogOpener, logTest } from './log-conformance-kit.ts'
import { keepingLaws } from './log-conformance-keeping.ts'
import { producersLaws } from './log-conformance-producers.ts'
import { readingLaws } from './log-conformance-reading.ts'
import { crashLaws, damageLaws, restartLaws } from './log-conformance-restarts.ts'
import { topicsLaws } from './log-conformance-topics.ts'
import { conformToModel } from './log-model.ts'

export type { LogOpener, LogUnderTest } from './log-conformance-kit.ts'

export interface LogConformanceOptions {
  /** The opener's logs have `crash`. */
  readonly canCrash?: boolean
  /** The opener's logs have `damage`. */
  readonly canDamage?: boolean
  /** Runs of the comparison with the model. Default 100. */
  readonly modelRuns?: number
}

const LAWS: readonly LogLaw[] = [...topicsLaws, ...readingLaws, ...commitsLaws, ...producersLaws, ...keepingLaws, ...restartLaws]

/** Registers the suite with node:test, every test with a log of its own from `open`. */
export function logConformance(name: string, open: LogOpener, options: LogConformanceOptions = {}): void {
  const { canCrash = false, canDamage = false, modelRuns = 100 } = options
  const laws = [...LAWS, ...(canCrash ? crashLaws : []), ...(canDamage ? damageLaws : [])]
  for (const { law, run } of laws) logTest(name, law, open, run)
  conformToModel(name, open, modelRuns)
}
