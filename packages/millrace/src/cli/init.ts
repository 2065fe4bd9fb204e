// `millrace init`: a small project that runs at once, on this package where it was installed from a registry, on the tarballs that it was
// installed from, or on what the clone packs.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError, nodeDisk } from '@millrace/core/engine'
import { VERSION } from '../version.ts'
import type { CliContext, Command } from './context.ts'

/** Files of the project and their names in the package: npm leaves a `.gitignore` out of packages. */
const FILES: Readonly<Record<string, string>> = {
  'pipeline.ts': 'pipeline.ts',
  'pipeline.test.ts': 'pipeline.test.ts',
  'events.ndjson': 'events.ndjson',
  'tsconfig.json': 'tsconfig.json',
  'README.md': 'README.md',
  '.gitignore': 'gitignore',
}

/** What a project depends on: the server, and the archive that the guide goes on with. */
const PACKAGES = ['millrace', '@millrace/parquet'] as const

const packageFolder = fileURLToPath(new URL('../..', import.meta.url))
/** Script that packs what a registry would have; only a clone has it. */
const packScript = join(packageFolder, '../../scripts/pack.ts')

function templateText(name: string): string {
  return readFileSync(join(packageFolder, 'template', name), 'utf8')
}

function nameOf(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+/, '')
  return name || 'plant'
}

/** Path of the tarball by the name of its package. */
type Tarballs = Readonly<Record<string, string>>

/** Packs the clone. Its compiler's messages pass through. */
async function packClone(context: CliContext): Promise<Tarballs> {
  context.note('packing this clone for the new project\n')
  const child = spawn(process.execPath, ['--conditions=mr-source', packScript], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  const code = await new Promise<number>((done) => {
    child.once('error', () => done(1))
    child.once('close', (ended) => done(ended ?? 1))
  })
  if (code !== 0) {
    throw new MillraceError('MR_CLI_PACK', {
      message: 'the clone cannot be packed; nothing was written.',
      details: { clone: dirname(dirname(packScript)) },
    })
  }
  const { folder, files } = JSON.parse(out) as { readonly folder: string; readonly files: Tarballs }
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)]))
}

/** The tarballs that our packages were installed from, which no registry may have; null when they came from one. */
function installedTarballs(): Tarballs | null {
  const project = join(packageFolder, '../..')
  const file = join(project, 'package.json')
  if (!existsSync(file)) return null
  const { dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as { readonly dependencies?: Readonly<Record<string, string>> }
  const own = Object.entries(dependencies).filter(
    ([name, from]) => /^(?:millrace|@millrace\/.+)$/.test(name) && /^file:.*\.tgz$/.test(from),
  )
  if (!own.some(([name]) => name === 'millrace')) return null
  const tarballs = Object.fromEntries(own.map(([name, from]) => [name, resolve(project, from.slice('file:'.length))]))
  const gone = Object.values(tarballs).find((path) => !existsSync(path))
  if (gone === undefined) return tarballs
  throw new MillraceError('MR_CLI_PACK', {
    message: 'a tarball that this millrace was installed from is gone; nothing was written.',
    details: { tarball: gone },
    fix: 'Put it back, or make the project with the `npx millrace init` of the clone.',
  })
}

/** Refuses a folder that has one of the names already. */
function refuseTaken(folder: string, names: readonly string[]): void {
  const isFile = existsSync(folder) && !statSync(folder).isDirectory()
  const taken = isFile ? [] : names.filter((name) => existsSync(join(folder, name)))
  if (!isFile && taken.length === 0) return
  throw new MillraceError('MR_CLI_FOLDER_TAKEN', {
    message: `${isFile ? 'there is a file of this name' : `the folder has ${taken.join(', ')} already`}; nothing was written.`,
    details: { folder },
    fix: 'Name another folder: `npx millrace init FOLDER`.',
  })
}

export const init: Command = {
  name: 'init',
  usage: '[FOLDER]',
  summary: 'Makes a small project that runs at once.',
  options: [],
  examples: [
    { line: 'npx millrace init my-plant', does: 'in a new folder' },
    { line: 'cd my-plant && npm install && npx millrace dev pipeline.ts', does: 'and go' },
  ],
  words: [0, 1],
  async run(context, { words, json }) {
    const folder = resolve(context.cwd, words[0] ?? '.')
    const isClone = existsSync(packScript)
    const installed = isClone ? null : installedTarballs()
    const names = [...Object.keys(FILES), 'package.json', ...(isClone || installed !== null ? ['vendor'] : [])]
    refuseTaken(folder, names)
    const tarballs = isClone ? await packClone(context) : installed
    const dependencies =
      tarballs === null
        ? Object.fromEntries(PACKAGES.map((name) => [name, VERSION]))
        : Object.fromEntries(Object.entries(tarballs).map(([name, path]) => [name, `file:vendor/${basename(path)}`]))
    const manifest = { name: nameOf(folder), ...(JSON.parse(templateText('manifest.json')) as object), dependencies }
    nodeDisk.makeFolder(folder)
    for (const [file, template] of Object.entries(FILES)) writeFileSync(join(folder, file), templateText(template))
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
    for (const path of Object.values(tarballs ?? {})) cpSync(path, join(folder, 'vendor', basename(path)))
    const where = words[0] === undefined ? '' : `cd ${words[0]} && `
    context.out(
      json
        ? `${JSON.stringify({ folder, files: names })}\n`
        : `made ${names.join(', ')} in ${folder}\n  next: ${where}npm install && npx millrace dev pipeline.ts\n`,
    )
    return 0
  },
}
