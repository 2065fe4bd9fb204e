// What users get: each published package is built, packed, installed from its tarball into an empty folder, and used there on this Node
// without the workspace and without the sources.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runCommand, root, runProgram, runScript } from '../programs.ts'

const PACKAGES = ['core', 'parquet', 'millrace'] as const

interface Manifest {
  readonly name: string
  readonly version: string
  readonly bin?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const manifests = PACKAGES.map((name) => JSON.parse(readFileSync(path.join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest)

/** Every module that a user can import, by the name he writes. */
const doors = manifests.flatMap((manifest) => Object.keys(manifest.exports).map((key) => path.posix.join(manifest.name, key)))

const folder = mkdtempSync(path.join(os.tmpdir(), 'millrace-pack-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Runs npm and returns its standard output. The variables that an outer `npm run` sets would point it back into the workspace. */
async function npm(args: readonly string[], cwd: string): Promise<string> {
  const own = process.env['npm_execpath']
  const [command, first] = own?.endsWith('.js') === true ? [process.execPath, [own]] : ['npm', []]
  const env = { npm_config_local_prefix: cwd, npm_package_json: '', npm_config_workspaces: '', INIT_CWD: cwd }
  const { code, stdout } = await runCommand(command, [...first, ...args], { cwd, env, stdout: 'capture' })
  assert.equal(code, 0, `npm ${args.join(' ')}\n${stdout}`)
  return stdout
}

async function pack(name: string): Promise<string> {
  const output = await npm(['pack', '--json', '--loglevel=error', '--pack-destination', folder], path.join(root, 'packages', name))
  const file = /"filename":\s*"([^"]+\.tgz)"/.exec(output)?.[1]
  assert.ok(file, `npm pack named no file: ${output}`)
  return path.join(folder, path.basename(file))
}

/** Runs a program text in the user's folder and returns what it printed. */
async function runThere(text: string): Promise<string> {
  const file = path.join(folder, 'program.mjs')
  writeFileSync(file, text)
  const { code, stdout } = await runCommand(process.execPath, [file], { cwd: folder, env: { NODE_OPTIONS: '' }, stdout: 'capture' })
  assert.equal(code, 0, stdout)
  return stdout
}

describe('packages as users install them', () => {
  before(async () => {
    assert.equal((await runScript('scripts/build.ts', [])).code, 0, 'the build failed')
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
    const tarballs: string[] = []
    for (const name of PACKAGES) tarballs.push(await pack(name))
    await npm(['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs], folder)
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
    writeFileSync(path.join(folder, 'user.ts'), lines.join(''))
    const options = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'esnext.iterator', 'esnext.disposable'],
    }
    const types = { types: ['node'], typeRoots: [path.join(root, 'node_modules/@types')], skipLibCheck: false }
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, ...types }, files: ['user.ts'] }))
    const { code, stdout } = await runProgram('tsc', ['-p', folder], { stdout: 'capture' })
    assert.equal(code, 0, stdout)
  })

  test('`millrace --version` runs from the folder of the user', async () => {
    const cli = path.join(folder, 'node_modules/.bin/millrace')
    const { code, stdout } = await runCommand(process.execPath, [cli, '--version'], { cwd: folder, stdout: 'capture' })
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`\\b${manifests.at(-1)?.version.replaceAll('.', String.raw`\.`)}\\b`))
  })
})
