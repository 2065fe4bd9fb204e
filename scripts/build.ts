// Builds what is published: each package's dist with declarations, the console page inside packages/millrace, the licence in each package.
import { cpSync, existsSync, rmSync } from 'node:fs'
import path from 'node:path'
import { buildConsole } from './console.ts'
import { root, runProgram } from './programs.ts'

/** In the order in which they see each other's declarations. */
const PACKAGES = ['core', 'parquet', 'millrace'] as const

async function build(): Promise<boolean> {
  for (const name of PACKAGES) {
    const folder = path.join(root, 'packages', name)
    rmSync(path.join(folder, 'dist'), { recursive: true, force: true })
    process.stderr.write(`millrace: building packages/${name}\n`)
    if ((await runProgram('tsc', ['-p', 'tsconfig.build.json'], { cwd: folder })).code !== 0) return false
    cpSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
  }
  if (!(await buildConsole({ ifStale: true }))) return false
  const page = path.join(root, 'packages/console/dist')
  if (existsSync(page)) cpSync(page, path.join(root, 'packages/millrace/dist/console'), { recursive: true })
  return true
}

if (!(await build())) process.exitCode = 1
