// The whole of `npm test`: format, lint, types, every *.test.ts in one runner call, then the quick forms of the commands that judge.
// Prints one line per step and per test file, every failure, every skip with its reason, and at the end `N passed, N failed, N skipped`.
// `npm test -- --only PATTERN`: the step with that name, or else the test files whose path contains PATTERN.
import { existsSync, globSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { checks } from './check.ts'
import { root, runScript } from './programs.ts'
import { installCommand, installSystemPrograms, missingProgram } from './system-programs.ts'
import { runTestFiles, type Tally } from './test-files.ts'

interface Step {
  readonly name: string
  run(): Promise<Tally>
}

const PASSED: Tally = { passed: 1, failed: 0, skipped: 0 }
const FAILED: Tally = { passed: 0, failed: 1, skipped: 0 }

/** Test files that run at the same time: as many as the smallest machine we support has cores. */
const FILES_AT_ONCE = 2

const TEST_FILES = ['packages/*/src/**/*.test.{ts,tsx}', 'packages/*/test/**/*.test.ts', '{scripts,docs,examples,bench,sim}/**/*.test.ts']

/** Commands that judge; each prints one JSON object per bar. */
const QUICK_FORMS = [
  { name: 'bench', file: 'bench/run.ts' },
  { name: 'sim', file: 'sim/run.ts' },
  { name: 'crash', file: 'sim/crash.ts' },
] as const

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function add(left: Tally, right: Tally): Tally {
  return { passed: left.passed + right.passed, failed: left.failed + right.failed, skipped: left.skipped + right.skipped }
}

function checkStep(check: (typeof checks)[number]): Step {
  const run = async (): Promise<Tally> => {
    if (await check.run()) return PASSED
    print(`FAILED ${check.name}: ${check.fix}`)
    return FAILED
  }
  return { name: check.name, run }
}

function testFiles(pattern: string | undefined): string[] {
  const files = globSync(TEST_FILES, { cwd: root, exclude: (name) => name.includes('node_modules') || name.endsWith('/dist') })
  return files.filter((file) => pattern === undefined || file.includes(pattern)).toSorted()
}

function testsStep(pattern: string | undefined): Step {
  const run = async (): Promise<Tally> => {
    const files = testFiles(pattern)
    await installSystemPrograms(files)
    let skipped = 0
    const able = files.filter((file) => {
      const missing = missingProgram(file)
      if (missing === undefined) return true
      print(`skip ${file}: needs ${missing.name}; install it with: ${installCommand(missing)}`)
      skipped += 1
      return false
    })
    const tally = await runTestFiles(able, { root, filesAtOnce: FILES_AT_ONCE, print })
    return add(tally, { passed: 0, failed: 0, skipped })
  }
  return { name: 'tests', run }
}

interface BarLine {
  readonly name: string
  readonly checked: boolean
}

function readBars(output: string): BarLine[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as BarLine)
}

function quickStep(form: (typeof QUICK_FORMS)[number]): Step {
  const run = async (): Promise<Tally> => {
    const { code, stdout } = await runScript(form.file, ['--quick', '--json'], { stdout: 'capture' })
    const bars = readBars(stdout)
    const wrong = bars.filter((bar) => !bar.checked)
    for (const bar of wrong)
      print(`FAILED ${form.name} ${bar.name}: its result is wrong; repeat with npm run ${form.name} -- --quick --only ${bar.name}`)
    if (code !== 0 && wrong.length === 0) {
      print(`FAILED ${form.name}: exit code ${code}; repeat with npm run ${form.name} -- --quick`)
      return add(FAILED, { passed: bars.length, failed: 0, skipped: 0 })
    }
    return bars.length === 0 ? PASSED : { passed: bars.length - wrong.length, failed: wrong.length, skipped: 0 }
  }
  return { name: form.name, run }
}

function selectSteps(only: string | undefined): readonly Step[] {
  const quick = QUICK_FORMS.filter((form) => existsSync(path.join(root, form.file))).map(quickStep)
  const all = [...checks.map(checkStep), testsStep(undefined), ...quick]
  if (only === undefined) return all
  const named = all.filter((step) => step.name === only)
  return named.length > 0 ? named : [testsStep(only)]
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  let total: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const step of selectSteps(values.only)) {
    const started = performance.now()
    const tally = await step.run()
    total = add(total, tally)
    print(`${tally.failed === 0 ? 'ok' : 'FAILED'} ${step.name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  }
  if (total.passed + total.failed + total.skipped === 0) {
    print(`FAILED: nothing is called \`${values.only ?? ''}\`, neither a step nor a test file`)
    total = FAILED
  }
  print(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exitCode = total.failed === 0 ? 0 : 1
}

await main()
