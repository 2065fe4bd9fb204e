// Packs what is published into one folder, from what is built now: `packages/*` as tarballs, the console page inside `millrace`.
// Prints `{ "folder", "files": { PACKAGE: FILE } }`. What was packed is kept under a hash of the sources, so that a second call costs nothing;
// of several processes one builds and the others wait, because a build empties the folder that another one packs.
import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, runCommand, runScript } from './programs.ts'

/** Folders of the packages that are published, by what they see. */
export const PUBLISHED = ['core', 'parquet', 'millrace'] as const

export interface Packed {
  readonly folder: string
  /** Tarball in the folder by the name of its package. */
  readonly files: Readonly<Record<string, string>>
}

const INPUTS = [
  'package-lock.json',
  'tsconfig.base.json',
  'LICENSE',
  'scripts/{build,console,pack}.ts',
  'packages/{core,parquet,millrace,console}/{package.json,README.md,tsconfig*.json,index.html,vite.config.ts}',
  'packages/{core,parquet,millrace,console}/{src,bin,template,public}/**/*',
]
const CACHE = path.join(root, 'node_modules/.cache/millrace-pack')
const LOCK = path.join(CACHE, 'lock')
const RETRY_MS = 100

function hashOfSources(): string {
  const hash = createHash('sha256')
  const files = globSync(INPUTS, { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile())
  const names = files.map((entry) => path.join(entry.parentPath, entry.name)).filter((name) => !/\.(?:test|bench|fixture)\.ts$/.test(name))
  for (const name of names.toSorted()) hash.update(name).update('\0').update(readFileSync(name)).update('\0')
  return hash.digest('hex').slice(0, 16)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits until no other living process packs, and says that this one does. */
async function takeLock(): Promise<void> {
  for (;;) {
    try {
      return writeFileSync(LOCK, String(process.pid), { flag: 'wx' })
    } catch {
      const owner = existsSync(LOCK) ? Number(readFileSync(LOCK, 'utf8')) : 0
      // An empty file is one that is being written.
      if (owner > 0 && !isAlive(owner)) rmSync(LOCK, { force: true })
      else await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Runs npm in a folder and returns its standard output. The variables that an outer `npm run` sets would point it back into the workspace. */
export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const own = process.env['npm_execpath']
  const [command, first] = own?.endsWith('.js') === true ? [process.execPath, [own]] : ['npm', []]
  const env = { npm_config_local_prefix: cwd, npm_package_json: '', npm_config_workspaces: '', INIT_CWD: cwd }
  const { code, stdout } = await runCommand(command, [...first, ...args], { cwd, env, stdout: 'capture' })
  if (code !== 0) throw new Error(`npm ${args.join(' ')} ended with ${code}\n${stdout}`)
  return stdout
}

async function build(into: string): Promise<void> {
  const { code, stdout } = await runScript('scripts/build.ts', [], { stdout: 'capture' })
  if (code !== 0) throw new Error(`the build failed\n${stdout}`)
  mkdirSync(into, { recursive: true })
  for (const name of PUBLISHED) await npm(['pack', '--loglevel=error', '--pack-destination', into], path.join(root, 'packages', name))
}

/** The packages as tarballs; builds them when a source has changed. */
export async function pack(): Promise<Packed> {
  mkdirSync(CACHE, { recursive: true })
  const folder = path.join(CACHE, hashOfSources())
  if (!existsSync(folder)) {
    await takeLock()
    try {
      if (!existsSync(folder)) {
        for (const old of readdirSync(CACHE)) if (old !== path.basename(LOCK)) rmSync(path.join(CACHE, old), { recursive: true })
        const staged = path.join(CACHE, 'staged')
        await build(staged)
        renameSync(staged, folder)
      }
    } finally {
      rmSync(LOCK, { force: true })
    }
  }
  const tarballs = readdirSync(folder)
  const files = PUBLISHED.map((each) => {
    const { name } = JSON.parse(readFileSync(path.join(root, 'packages', each, 'package.json'), 'utf8')) as { readonly name: string }
    const start = `${name.replace('@', '').replace('/', '-')}-`
    const file = tarballs.find((tarball) => tarball.startsWith(start) && /^\d/.test(tarball.slice(start.length)))
    if (file === undefined) throw new Error(`npm pack made no tarball of ${name}`)
    return [name, file] as const
  })
  return { folder, files: Object.fromEntries(files) }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(`${JSON.stringify(await pack())}\n`)
