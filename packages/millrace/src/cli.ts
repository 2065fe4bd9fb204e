#!/usr/bin/env node
// The entry of the command line: reaches for the machine, hands it to the commands, and ends the process with their exit code.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { enableCompileCache, registerHooks } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CliContext, ModuleWatch } from './cli/context.ts'
import { SUPERVISED, supervise } from './cli/supervise.ts'
import { printable } from './printable.ts'

// Compiled once per machine, in its folder for temporary files: every later start is three times as fast.
enableCompileCache()

const entry = fileURLToPath(import.meta.url)

let onStop: ((signal: string) => void)[] = []
let isStopping = false

function stop(signal: NodeJS.Signals): void {
  // A command that does not wait for signals ends as any program does; a second signal means at once.
  if (isStopping || onStop.length === 0) process.exit(signal === 'SIGINT' ? 130 : 143)
  isStopping = true
  for (const run of onStop) run(signal)
  onStop = []
}

/** A plant under `dev`: the terminal's Ctrl-C reaches it, too, and its supervisor ends it in good order. */
const isSupervised = process.argv.includes(`--${SUPERVISED}`)
process.on('SIGINT', (signal) => {
  if (!isSupervised) stop(signal)
})
process.on('SIGTERM', stop)
// Whoever read our output may have gone (`millrace tail | head`): nothing is left to say then.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const machine = {
  env: process.env,
  cwd: process.cwd(),
  note: (text: string) => void process.stderr.write(printable(text)),
  stopSignal: () => new Promise<string>((resolve) => onStop.push(resolve)),
  nodeFlags: process.execArgv,
  entry,
}

/** Remembers which modules of the user are loaded, from here on. */
function watchModules(): ModuleWatch {
  // In the workspace our own packages lie beside this one and not below node_modules.
  const ownPackages = `${dirname(dirname(dirname(entry)))}/`
  const modules = new Map<string, string>()
  const userPath = (url: string): string | null => {
    if (!url.startsWith('file:') || url.includes('/node_modules/')) return null
    const path = fileURLToPath(url)
    return path.startsWith(ownPackages) ? null : path
  }
  registerHooks({
    load(url, context, next) {
      const result = next(url, context)
      const path = userPath(url)
      if (path !== null) modules.set(path, createHash('sha256').update(readFileSync(path)).digest('hex'))
      return result
    },
    resolve(specifier, context, next) {
      const result = next(specifier, context)
      // A module that does not parse never gets as far as `load` returning, and is the one to watch.
      const path = userPath(result.url)
      if (path !== null && !modules.has(path)) modules.set(path, '')
      return result
    },
  })
  return { list: () => Array.from(modules, ([path, hash]) => ({ path, hash })) }
}

async function runCommand(args: readonly string[]): Promise<number> {
  const [{ nodeDisk, systemClock, systemScheduler }, { main }] = await Promise.all([
    import('@millrace/core/engine'),
    import('./cli/main.ts'),
  ])
  const context: CliContext = {
    ...machine,
    clock: systemClock,
    scheduler: systemScheduler,
    disk: nodeDisk,
    // A program behind a pipe gets the bytes as they are.
    out: (text) => void process.stdout.write(process.stdout.isTTY ? printable(text) : text),
    stdin: process.stdin,
    isTerminal: process.stdout.isTTY,
    report: (report) => void process.send?.(report),
    modules: watchModules(),
  }
  return main(args, context)
}

// The scheduler's timers do not keep a process alive; a command that waits for one must.
const alive = setInterval(() => undefined, 1 << 30)

const args = process.argv.slice(2)
const isSupervisor = args[0] === 'dev' && !args.includes('--help') && !args.includes('-h') && !isSupervised
// Whoever supervises this process may be killed: its plant must not go on without it.
if (process.connected) process.once('disconnect', () => stop('SIGTERM'))
const code = isSupervisor
  ? await supervise(args.slice(1), { ...machine, after: (ms, run) => void setTimeout(run, ms) })
  : await runCommand(args)
clearInterval(alive)
// Written output first: a pipe may still hold it.
process.exitCode = code
process.stdout.write('', () => process.exit(code))
