// How the scripts start the tools of node_modules: by their JavaScript entry on this same Node, never through a shell or the PATH.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/** Absolute path of the workspace. */
export const root: string = path.dirname(import.meta.dirname)

export interface Finished {
  readonly code: number
  readonly stdout: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** `capture` returns standard output; the default passes it on. */
  readonly stdout?: 'capture' | 'pass'
}

interface Manifest {
  readonly bin: string | Readonly<Record<string, string>>
}

/** Package whose `bin` has the program, where the two are named differently. */
const PACKAGE_OF: Readonly<Record<string, string>> = { tsc: 'typescript' }

/** Absolute path of the JavaScript entry of a development tool. */
export function toolEntry(name: string): string {
  const folder = path.join(root, 'node_modules', PACKAGE_OF[name] ?? name)
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest
  const entry = typeof manifest.bin === 'string' ? manifest.bin : manifest.bin[name]
  if (entry === undefined) throw new Error(`${folder} has no program called ${name}`)
  return path.join(folder, entry)
}

/** Runs a development tool of node_modules to its end. */
export function runProgram(name: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runCommand(process.execPath, [toolEntry(name), ...args], options)
}

/** Runs one TypeScript program of the workspace, resolving workspace packages to their sources. */
export function runScript(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runCommand(process.execPath, ['--conditions=mr-source', path.join(root, file), ...args], options)
}

/** Runs any command to its end. A command that cannot be started has exit code 127. */
export function runCommand(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const capture = options.stdout === 'capture'
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
    })
    const chunks: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => {
      process.stderr.write(`cannot start ${command}: ${error.message}\n`)
      resolve({ code: 127, stdout: '' })
    })
    child.on('close', (code) => resolve({ code: code ?? 1, stdout: Buffer.concat(chunks).toString('utf8') }))
  })
}
