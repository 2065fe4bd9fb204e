// Builds the console page into packages/console/dist. With --if-stale only when a source is newer than the page.
import { existsSync, globSync, statSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, runProgram } from './programs.ts'

const folder = path.join(root, 'packages/console')
const page = path.join(folder, 'dist/index.html')

function isStale(): boolean {
  if (!existsSync(page)) return true
  const built = statSync(page).mtimeMs
  const sources = globSync(['src/**/*', 'public/**/*', 'index.html', 'package.json', 'vite.config.*', 'tsconfig.json'], { cwd: folder })
  return sources.some((file) => statSync(path.join(folder, file)).mtimeMs > built)
}

/** Builds the page unless `ifStale` and it is up to date. Returns false when the build fails. */
export async function buildConsole(options: { readonly ifStale: boolean }): Promise<boolean> {
  if (!existsSync(path.join(folder, 'index.html'))) {
    process.stderr.write('millrace: packages/console has no index.html; the console page is not built\n')
    return true
  }
  if (options.ifStale && !isStale()) return true
  process.stderr.write('millrace: building the console page\n')
  return (await runProgram('vite', ['build', '--logLevel', 'warn'], { cwd: folder })).code === 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (!(await buildConsole({ ifStale: process.argv.includes('--if-stale') }))) process.exitCode = 1
}
