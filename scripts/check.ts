// Format, lint and types: what `npm run check` runs and what `npm test` runs first. With --write it formats instead of complaining.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, runProgram } from './programs.ts'

export interface Check {
  readonly name: string
  /** What a developer does when it fails. */
  readonly fix: string
  /** Resolves to true when nothing was found; findings are printed by the tool. */
  run(): Promise<boolean>
}

async function passes(tool: string, args: readonly string[]): Promise<boolean> {
  return (await runProgram(tool, args)).code === 0
}

async function typesPass(): Promise<boolean> {
  let good = await passes('tsc', ['-p', 'tsconfig.json'])
  // The console has its own settings: it runs in a browser and has JSX.
  if (existsSync(path.join(root, 'packages/console/tsconfig.json'))) {
    good = (await passes('tsc', ['-p', 'packages/console/tsconfig.json', '--noEmit'])) && good
  }
  return good
}

export const checks: readonly Check[] = [
  { name: 'format', fix: 'npm run format', run: () => passes('prettier', ['--check', '--log-level', 'warn', '.']) },
  {
    name: 'lint',
    fix: 'the message names the replacement; .oxlintrc.json has the rules',
    run: () => passes('oxlint', ['--deny-warnings']),
  },
  { name: 'types', fix: 'npx tsc -p tsconfig.json', run: typesPass },
]

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--write')) {
    if (!(await passes('prettier', ['--write', '--log-level', 'warn', '.']))) process.exitCode = 1
  } else {
    for (const check of checks) {
      if (await check.run()) continue
      process.stderr.write(`${check.name} failed: ${check.fix}\n`)
      process.exitCode = 1
    }
  }
}
