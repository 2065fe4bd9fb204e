// What users get: the packages are built, packed into a project that `millrace init` makes outside of the workspace, installed and used there,
// without the workspace and without the sources; also by an old Node, which finds the one that the project has installed.
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { npm, PUBLISHED } from '../pack.ts'
import { runCommand, type Finished, root, runProgram } from '../programs.ts'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly bin?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
}

const readManifest = (file: string): Manifest => JSON.parse(readFileSync(file, 'utf8')) as Manifest
const manifests = PUBLISHED.map((name) => readManifest(path.join(root, 'packages', name, 'package.json')))
const VERSION = manifests[0]?.version

/** Every module that a user can import, by the name he writes. */
const doors = manifests.flatMap((manifest) => Object.keys(manifest.exports).map((key) => path.posix.join(manifest.name, key)))

const home = mkdtempSync(path.join(os.tmpdir(), 'millrace-pack-'))
const folder = path.join(home, 'my-plant')
const BIN = path.join(folder, 'node_modules/millrace/bin/millrace.js')
after(() => rmSync(home, { recursive: true, force: true }))

/** Runs a program text in the user's folder and returns what it printed. */
async function runThere(text: string): Promise<string> {
  const file = path.join(folder, 'program.mjs')
  writeFileSync(file, text)
  const { code, stdout } = await runCommand(process.execPath, [file], { cwd: folder, env: { NODE_OPTIONS: '' }, stdout: 'capture' })
  assert.equal(code, 0, stdout)
  return stdout
}

/** Runs a command of a shell and returns everything that it wrote. */
function shell(line: string, cwd: string): Promise<Finished> {
  // The runner of tests tells its children by this variable that they are its own; `node --test` of the project is not.
  const env = { NODE_OPTIONS: '', npm_config_update_notifier: 'false' }
  return runCommand('/bin/sh', ['-c', `unset NODE_TEST_CONTEXT; { ${line}; } 2>&1`], { cwd, env, stdout: 'capture' })
}

/** A Node of this machine that cannot run millrace, or null. */
async function oldNode(): Promise<string | null> {
  for (const place of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const node = path.join(place, 'node')
    if (!existsSync(node)) continue
    const { stdout } = await runCommand(node, ['--version'], { stdout: 'capture' })
    if (Number(/^v(\d+)/.exec(stdout)?.[1]) < 24) return node
  }
  return null
}

describe('packages as users install them', () => {
  before(async () => {
    const entry = path.join(root, 'packages/millrace/bin/millrace.js')
    const made = await runCommand(process.execPath, [entry, 'init', 'my-plant'], { cwd: home, stdout: 'capture' })
    assert.equal(made.code, 0)
    assert.match(made.stdout, /next: cd my-plant && npm install && npx millrace dev pipeline\.ts/)
    await npm(['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], folder)
  })

  test('every target of `exports` and `bin` is in the package, with licence and readme', () => {
    for (const manifest of manifests) {
      const installed = path.join(folder, 'node_modules', manifest.name)
      const targets = Object.values(manifest.exports).flatMap((each) => [each['types'], each['default']])
      for (const target of [...targets, ...Object.values(manifest.bin ?? {}), 'LICENSE', 'README.md']) {
        assert.ok(target !== undefined && existsSync(path.join(installed, target)), `${manifest.name} lacks ${target}`)
      }
    }
  })

  test('every module exports what its source exports', async () => {
    const names = async (): Promise<Record<string, string[]>> =>
      Object.fromEntries(
        await Promise.all(doors.map(async (door) => [door, Object.keys((await import(door)) as object).toSorted()] as const)),
      )
    const text = `const doors = ${JSON.stringify(doors)}
      const found = {}
      for (const door of doors) found[door] = Object.keys(await import(door)).sort()
      console.log(JSON.stringify(found))`
    const there = JSON.parse(await runThere(text)) as Record<string, string[]>
    assert.deepEqual(there, await names())
    for (const [door, exported] of Object.entries(there)) assert.ok(exported.length > 0, `${door} exports nothing`)
  })

  test('the declarations are complete for a strict user', async () => {
    const lines = doors.map((door, index) => `import * as door${index} from '${door}'\nexport const use${index}: object = door${index}\n`)
    const strict = path.join(folder, 'strict')
    mkdirSync(strict)
    writeFileSync(path.join(strict, 'user.ts'), lines.join(''))
    const options = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'esnext.iterator', 'esnext.disposable'],
    }
    const types = { types: ['node'], typeRoots: [path.join(root, 'node_modules/@types')], skipLibCheck: false }
    writeFileSync(path.join(strict, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, ...types }, files: ['user.ts'] }))
    const { code, stdout } = await runProgram('tsc', ['-p', strict], { stdout: 'capture' })
    rmSync(strict, { recursive: true })
    assert.equal(code, 0, stdout)
  })

  test('the project of `init` checks its types, tests itself and runs commands as its README says', async () => {
    for (const [line, expected] of [
      ['npm run check', /tsc/],
      ['npm test', /pass 1\b/],
      ['npx millrace --version', new RegExp(String(VERSION).replaceAll('.', String.raw`\.`))],
      ['npx millrace check pipeline.ts', /web/],
      ['npx millrace plan pipeline.ts', /per-minute/],
    ] as const) {
      const { code, stdout } = await shell(line, folder)
      assert.equal(code, 0, `${line}\n${stdout}`)
      assert.match(stdout, expected)
    }
    const pipeline = readFileSync(path.join(folder, 'pipeline.ts'), 'utf8')
    writeFileSync(path.join(folder, 'wrong.ts'), pipeline.replace('.from(hits)', ".from(hits).filter((hit) => hit.ulr === '/')"))
    const { code, stdout } = await shell('npm run check', folder)
    rmSync(path.join(folder, 'wrong.ts'))
    assert.notEqual(code, 0)
    assert.match(stdout, /wrong\.ts.*Property 'ulr' does not exist/)
  })

  test('the project names the tools of this workspace', () => {
    const [own, made] = [root, folder].map((each) => readManifest(path.join(each, 'package.json')))
    for (const name of ['typescript', '@types/node']) assert.equal(made?.devDependencies?.[name], own?.devDependencies?.[name])
    assert.deepEqual(made?.optionalDependencies, own?.optionalDependencies)
  })

  test('`init` of a millrace that came from tarballs takes them along, and of one from a registry names its version', async () => {
    const file = path.join(folder, 'package.json')
    const manifest = readFileSync(file, 'utf8')
    const other = path.join(folder, 'other')
    const initOther = async (): Promise<Manifest> => {
      const { code, stdout } = await shell('npx millrace init other --json', folder)
      assert.equal(code, 0, stdout)
      return readManifest(path.join(other, 'package.json'))
    }
    assert.deepEqual((await initOther()).dependencies, readManifest(file).dependencies)
    // Resolves every package, and asks no registry for one of ours.
    await npm(['install', '--package-lock-only', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], other)
    rmSync(other, { recursive: true })

    writeFileSync(file, JSON.stringify({ ...(JSON.parse(manifest) as object), dependencies: { millrace: VERSION } }))
    try {
      assert.deepEqual((await initOther()).dependencies, { millrace: VERSION, '@millrace/parquet': VERSION })
      assert.ok(!existsSync(path.join(other, 'vendor')))
    } finally {
      writeFileSync(file, manifest)
    }
    rmSync(other, { recursive: true })
    const [tarball = ''] = readdirSync(path.join(folder, 'vendor')).filter((name) => name.startsWith('millrace-0'))
    renameSync(path.join(folder, 'vendor', tarball), path.join(folder, tarball))
    const gone = await shell('npx millrace init other', folder)
    renameSync(path.join(folder, tarball), path.join(folder, 'vendor', tarball))
    assert.equal(gone.code, 1)
    assert.match(gone.stdout, /MR_CLI_PACK: .*is gone; nothing was written\.[^]*fix: Put it back/)
    assert.ok(!existsSync(other))
  })

  test('an old Node hands over to the one that is installed, or says what is needed', async (context) => {
    const node = await oldNode()
    if (node === null) return context.skip('every Node on the PATH is new; put one before 24 there')
    const handed = await shell(`${node} ${BIN} check pipeline.ts`, folder)
    assert.equal(handed.code, 0, handed.stdout)
    assert.match(handed.stdout, /web/)
    const wrong = await shell(`${node} ${BIN} chekc`, folder)
    assert.equal(wrong.code, 2)
    cpSync(path.join(folder, 'node_modules/millrace'), path.join(home, 'alone'), { recursive: true })
    const alone = await shell(`${node} alone/bin/millrace.js --version`, home)
    assert.equal(alone.code, 1)
    assert.match(alone.stdout, /^millrace needs Node 24\.11 or newer \(or 26\); this is Node \d+\.\d+\.\d+\.\n.*npm install node-\S+@24\n$/)
  })
})
