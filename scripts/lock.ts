// Refreshes package-lock.json, and adds the entries that npm leaves out. A tool with one binary package per platform names all of them as
// optional; where the registry at hand does not carry some, npm writes a lock file that its own `npm ci` then refuses. An entry with version,
// operating system and processor is all that `npm ci` needs to pass over a package of another platform.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, runCommand } from './programs.ts'

interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'] as const
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'] as const

/** What a platform package's own manifest would say, read from its name: `@oxlint/binding-linux-x64-musl`. */
export function platformOf(name: string): Readonly<Record<string, readonly string[]>> | undefined {
  const words = name.split(/[/-]/)
  const system = SYSTEMS.find((each) => words.includes(each))
  const processor = PROCESSORS.find((each) => words.includes(each))
  if (system === undefined || processor === undefined) return undefined
  const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) ? ['glibc'] : undefined
  return { cpu: [processor], ...(libc !== undefined && system === 'linux' ? { libc } : {}), os: [system] }
}

/** The optional packages that a lock file should name and does not, with the entry for each. */
export function missingEntries(lock: Lock): ReadonlyMap<string, object> {
  const missing = new Map<string, object>()
  for (const entry of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const place = `node_modules/${name}`
      if (place in lock.packages) continue
      const platform = platformOf(name)
      if (platform === undefined) throw new Error(`cannot read a platform from ${name}: add its entry to package-lock.json by hand`)
      missing.set(place, { version, ...platform, ...(entry.dev === true ? { dev: true } : {}), optional: true })
    }
  }
  return missing
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = path.join(root, 'package-lock.json')
  const { code } = await runCommand('npm', ['install', '--package-lock-only', '--loglevel=error'])
  if (code !== 0) process.exit(code)
  const lock = JSON.parse(readFileSync(file, 'utf8')) as Lock
  const added = missingEntries(lock)
  const packages = Object.fromEntries([...Object.entries(lock.packages), ...added].toSorted(([left], [right]) => (left < right ? -1 : 1)))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages }, undefined, 2)}\n`)
  process.stderr.write(`millrace: package-lock.json is fresh; ${added.size} packages of other platforms were added by name\n`)
}
