// Programs of the operating system that some tests need. A test file says so by the facet in its name: `page.browser.test.ts` needs what
// stands under `browser`. In CI, as root on Debian, a missing program is installed; elsewhere its tests are counted as skipped, with the
// command that installs it.
import { existsSync } from 'node:fs'
import { runCommand } from './programs.ts'

export interface SystemProgram {
  /** Word in the test file's name, between dots. */
  readonly facet: string
  readonly name: string
  /** Where it is when it is there. */
  readonly file: string
  readonly debianPackage: string
}

export const SYSTEM_PROGRAMS: readonly SystemProgram[] = [
  { facet: 'browser', name: 'Chromium', file: '/usr/bin/chromium', debianPackage: 'chromium' },
]

/** The program that this test file needs and that is not there, or undefined. */
export function missingProgram(testFile: string): SystemProgram | undefined {
  return SYSTEM_PROGRAMS.find((program) => testFile.includes(`.${program.facet}.`) && !existsSync(program.file))
}

export function installCommand(program: SystemProgram): string {
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${program.debianPackage}`
}

function mayInstall(): boolean {
  const inCi = !['', '0', 'false'].includes(process.env['CI'] ?? '')
  return inCi && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
}

/** In CI: installs the programs that these test files need. A failed installation is not fatal here: the tests are then skipped by name. */
export async function installSystemPrograms(testFiles: readonly string[]): Promise<void> {
  const missing = new Set(testFiles.map((file) => missingProgram(file)?.debianPackage).filter((name) => name !== undefined))
  if (missing.size === 0 || !mayInstall()) return
  process.stderr.write(`millrace: installing ${[...missing].join(', ')} with apt-get\n`)
  const quiet = { env: { DEBIAN_FRONTEND: 'noninteractive' }, stdout: 'capture' } as const
  await runCommand('apt-get', ['update', '-qq'], quiet)
  await runCommand('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], quiet)
}
