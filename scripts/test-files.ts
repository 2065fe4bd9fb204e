// Runs test files with node:test, one process per file, and prints what a developer has to see: one line per file, each failure, each skip.
import path from 'node:path'
import { type EventData, run } from 'node:test'
import { inspect } from 'node:util'

/** How many tests ended how. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface RunTestFilesOptions {
  readonly root: string
  readonly filesAtOnce: number
  readonly print: (line: string) => void
}

/** A test's diagnostic that starts with this is shown to the developer; node:test itself writes many others. */
export const NOTE = 'note: '

interface FileTally {
  passed: number
  failed: number
  skipped: number
}

/** A hung test must not hold the run for ever. Milliseconds for one file. */
const FILE_MS_MAX = 300_000

interface TestError extends Error {
  readonly failureType?: string
}

/** The innermost error: node:test wraps what a test threw. */
function causeOf(error: TestError): unknown {
  return error.failureType !== undefined && error.cause !== undefined ? error.cause : error
}

/** Lines of one failure that are printed: enough for a diff and the place, not a whole data structure. */
const FAILURE_LINES_MAX = 60

function describeFailure(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : inspect(error, { depth: 4 })
  const lines = text.split('\n').filter((line) => !line.includes('node:internal/'))
  const kept = lines.slice(0, FAILURE_LINES_MAX)
  if (lines.length > kept.length) kept.push(`... ${lines.length - kept.length} more lines`)
  if (error instanceof Error && error.cause !== undefined) kept.push(`caused by: ${describeFailure(error.cause)}`)
  return kept.map((line) => `    ${line}`).join('\n')
}

class Report {
  readonly #options: RunTestFilesOptions
  readonly #tallies = new Map<string, FileTally>()

  constructor(options: RunTestFilesOptions) {
    this.#options = options
  }

  #tallyOf(name: string): FileTally {
    const known = this.#tallies.get(name)
    if (known !== undefined) return known
    const fresh: FileTally = { passed: 0, failed: 0, skipped: 0 }
    this.#tallies.set(name, fresh)
    return fresh
  }

  #nameOf(file: string | undefined): string {
    return path.relative(this.#options.root, file ?? '')
  }

  pass(event: EventData.TestPass): void {
    if (event.details.type === 'suite') return
    const name = this.#nameOf(event.file)
    const tally = this.#tallyOf(name)
    const reason = event.skip ?? event.todo
    if (reason !== undefined) {
      tally.skipped += 1
      this.#options.print(`skip ${name}: ${event.name}: ${typeof reason === 'string' ? reason : 'no reason given'}`)
    } else if (event.name === event.file) {
      // A file without a single test is reported as one test with the file's name: it proves nothing, so it does not pass.
      tally.failed += 1
      this.#options.print(`FAILED ${name}: the file has no tests`)
    } else tally.passed += 1
  }

  fail(event: EventData.TestFail): void {
    const error: TestError = event.details.error
    // The subtests that failed were printed and counted already.
    if (error.failureType === 'subtestsFailed') return
    const name = this.#nameOf(event.file)
    this.#tallyOf(name).failed += 1
    this.#options.print(`FAILED ${name}:${event.line ?? 0}: ${event.name === event.file ? 'the file itself failed' : event.name}`)
    this.#options.print(describeFailure(causeOf(error)))
  }

  note(event: EventData.TestDiagnostic): void {
    if (event.message.startsWith(NOTE)) this.#options.print(`note ${event.message.slice(NOTE.length)}`)
  }

  finish(event: EventData.TestSummary): void {
    if (event.file === undefined) return
    const name = this.#nameOf(event.file)
    const tally = this.#tallyOf(name)
    const word = tally.failed === 0 ? 'ok' : 'FAILED'
    this.#options.print(`${word} ${name} (${tally.passed + tally.failed} tests, ${(event.duration_ms / 1000).toFixed(1)} s)`)
  }

  total(): Tally {
    const sum: FileTally = { passed: 0, failed: 0, skipped: 0 }
    for (const tally of this.#tallies.values()) {
      sum.passed += tally.passed
      sum.failed += tally.failed
      sum.skipped += tally.skipped
    }
    return sum
  }
}

/** Runs the files and resolves to the number of tests that passed, failed and were skipped; a file that crashes counts as one failure. */
export async function runTestFiles(files: readonly string[], options: RunTestFilesOptions): Promise<Tally> {
  const report = new Report(options)
  if (files.length === 0) return report.total()
  const stream = run({
    files: files.map((file) => path.join(options.root, file)),
    concurrency: options.filesAtOnce,
    isolation: 'process',
    timeout: FILE_MS_MAX,
  })
  stream.on('test:pass', (event) => report.pass(event))
  stream.on('test:fail', (event) => report.fail(event))
  stream.on('test:diagnostic', (event) => report.note(event))
  stream.on('test:stderr', (event) => process.stderr.write(event.message))
  stream.on('test:summary', (event) => report.finish(event))
  // The stream ends by itself; reading it is what makes it flow.
  for await (const _event of stream);
  return report.total()
}
