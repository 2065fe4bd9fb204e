// `npm run bench [-- --only NAME] [--quick] [--json]`: every bar of docs/benchmarks.md, each in fresh processes, checked against an obvious computation.
//
// stdout: one JSON object per bar with --json, else a table. stderr: progress. Exit 1 when a result is wrong, a process fails, or (not in
// --quick, where data is small and figures mean nothing) a bar falls short of its `must` or has nothing to measure yet.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchCase, Missing } from './support/case.ts'
import { runPhases } from './support/process.ts'
import { type BarResult, barResults, type RunResult, tableLine } from './support/report.ts'

const RUNS = 5
const CASES = path.join(import.meta.dirname, 'cases')

/** The order of the table in docs/benchmarks.md; a new case file that is not named here runs last. */
const ORDER = [
  'log-append',
  'log-commit',
  'log-read',
  'aggregate',
  'aggregate-lambdas',
  'aggregate-1m-keys',
  'aggregate-any-order',
  'join',
  'ship',
  'parquet-encode',
  'parquet-sink',
  'http-single',
  'http-ndjson',
  'latency-table',
  'latency-through',
  'two-workers',
  'restore',
  'resident',
  'dev-start',
]

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

function caseNames(only: string | undefined): string[] {
  const files = readdirSync(CASES).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const rank = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)
  const names = files.map((name) => name.slice(0, -3)).toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b))
  // A whole name means that case alone: `aggregate` begins the names of others.
  if (only === undefined || names.includes(only)) return only === undefined ? names : [only]
  return names.filter((name) => name.includes(only))
}

/** One run of a case; `own` and `obvious` share the folder. */
async function runOnce(file: string, benchCase: BenchCase, folder: string, quick: boolean, run: number): Promise<RunResult> {
  const context = { folder, quick, run }
  const everyCore = benchCase.everyCore ?? false
  if (quick) {
    const [own, obvious] = await runPhases(file, ['own', 'obvious'], context, everyCore)
    return { own, obvious }
  }
  const [own] = await runPhases(file, ['own'], context, everyCore)
  if (own === undefined || 'missing' in own) return { own, obvious: undefined }
  const [obvious] = await runPhases(file, ['obvious'], context, everyCore)
  return { own, obvious }
}

async function runCase(name: string, folders: FixtureFolders, quick: boolean): Promise<readonly BarResult[]> {
  const file = path.join(CASES, `${name}.ts`)
  const { benchCase } = (await import(file)) as { readonly benchCase: BenchCase }
  progress(`${name}: ${benchCase.summary}`)
  try {
    const folder = await folders.of(file, benchCase, quick)
    const runs: RunResult[] = []
    for (let run = 0; run < (quick ? 1 : (benchCase.runs ?? RUNS)); run++) {
      const result = await runOnce(file, benchCase, folder, quick, run)
      if (result.own !== undefined && 'missing' in result.own) throw new Missing(result.own.missing)
      progress(`  run ${run + 1}: ${JSON.stringify(result)}`)
      runs.push(result)
    }
    return barResults(benchCase, runs)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return benchCase.bars.map((bar) => ({
      name: bar.name,
      value: null,
      spread: null,
      unit: bar.unit,
      must: bar.must,
      aim: bar.aim,
      better: bar.better ?? 'more',
      checked: false,
      baseline: null,
      reason,
      missing: error instanceof Missing,
    }))
  }
}

/** Folders of fixtures, each made once; a case without a fixture gets an empty one of its own. */
class FixtureFolders {
  readonly #root = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'))
  readonly #made = new Set<string>()

  async of(file: string, benchCase: BenchCase, quick: boolean): Promise<string> {
    const { fixture } = benchCase
    const folder = path.join(this.#root, fixture?.name ?? `case-${benchCase.name}`)
    if (fixture !== undefined && !this.#made.has(fixture.name)) {
      progress(`  making ${fixture.name}`)
      await runPhases(file, ['fixture'], { folder, quick, run: 0 }, true)
      this.#made.add(fixture.name)
    }
    return folder
  }

  /** Frees what no later case reads: the data of a full run would not fit a small disk all at once. */
  dropAllBut(names: ReadonlySet<string>): void {
    for (const name of readdirSync(this.#root)) {
      if (!names.has(name)) rmSync(path.join(this.#root, name), { recursive: true, force: true })
    }
  }

  close(): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
}

async function fixtureNames(names: readonly string[]): Promise<ReadonlySet<string>> {
  const modules = names.map(async (name) => (await import(path.join(CASES, `${name}.ts`))) as { readonly benchCase: BenchCase })
  return new Set((await Promise.all(modules)).flatMap(({ benchCase }) => benchCase.fixture?.name ?? []))
}

async function main(): Promise<void> {
  const options = { only: { type: 'string' }, quick: { type: 'boolean' }, json: { type: 'boolean' } } as const
  const { values } = parseArgs({ options })
  const quick = values.quick ?? false
  const names = caseNames(values.only)
  if (names.length === 0) progress(`no case is called \`${values.only ?? ''}\`; there are: ${caseNames(undefined).join(', ')}`)
  const folders = new FixtureFolders()
  let fallsShort = names.length === 0
  try {
    for (const [index, name] of names.entries()) {
      for (const result of await runCase(name, folders, quick)) {
        if (quick && result.missing) {
          progress(`  ${result.name}: not measured: ${result.reason ?? ''}`)
          continue
        }
        process.stdout.write(`${values.json === true ? JSON.stringify(result) : tableLine(result, !quick)}\n`)
        if (!result.checked || (!quick && !reachesMust(result))) fallsShort = true
      }
      folders.dropAllBut(await fixtureNames(names.slice(index + 1)))
    }
  } finally {
    folders.close()
  }
  process.exitCode = fallsShort ? 1 : 0
}

function reachesMust(result: BarResult): boolean {
  if (result.value === null) return false
  return result.better === 'more' ? result.value >= result.must : result.value <= result.must
}

await main()
