// Type-checks a text with the compiler of the workspace, as a user's own compiler would.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const CORE = path.resolve(import.meta.dirname, '..')
const ROOT = path.resolve(CORE, '../../..')

/** What the compiler printed, and its own count of type instantiations. */
export interface TypeCheck {
  readonly printed: string
  readonly instantiations: number
  readonly seconds: number
}

/** Checks one file that imports from '@millrace/core'. */
export function typeCheck(name: string, text: string): TypeCheck {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-types-'))
  try {
    const compilerOptions = {
      noEmit: true,
      types: ['node'],
      typeRoots: [path.join(ROOT, 'node_modules/@types')],
      paths: { '@millrace/core': [path.join(CORE, 'index.ts')] },
    }
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }')
    writeFileSync(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: path.join(ROOT, 'tsconfig.base.json'), compilerOptions, files: [`${name}.ts`] }),
    )
    writeFileSync(path.join(folder, `${name}.ts`), text)
    const run = spawnSync(
      path.join(ROOT, 'node_modules/.bin/tsc'),
      ['-p', folder, '--noErrorTruncation', '--pretty', 'false', '--extendedDiagnostics'],
      { encoding: 'utf8' },
    )
    const printed = run.stdout + run.stderr
    const figure = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(printed)?.[1] ?? Number.NaN)
    return { printed, instantiations: figure('Instantiations'), seconds: figure('Total time') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
