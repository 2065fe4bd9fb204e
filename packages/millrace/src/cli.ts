#!/usr/bin/env node
// The entry of the command line: reaches for the machine, hands it to the commands, and ends the process with their exit code.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeDisk, systemClock, systemScheduler } from '@millrace/core/engine'
import { main } from './cli/main.ts'

const entry = fileURLToPath(import.meta.url)
/** In the workspace our own packages lie beside this one and not below node_modules. */
const ownPackages = `${dirname(dirname(dirname(entry)))}/`
const modules = new Map<string, string>()

registerHooks({
  load(url, context, next) {
    const result = next(url, context)
    const isUser = url.startsWith('file:') && !url.includes('/node_modules/') && !fileURLToPath(url).startsWith(ownPackages)
    if (isUser)
      modules.set(
        fileURLToPath(url),
        createHash('sha256')
          .update(readFileSync(fileURLToPath(url)))
          .digest('hex'),
      )
    return result
  },
  resolve(specifier, context, next) {
    const result = next(specifier, context)
    // A module that does not parse never gets as far as `load` returning, and is the one to watch.
    if (result.url.startsWith('file:') && !result.url.includes('/node_modules/')) {
      const path = fileURLToPath(result.url)
      if (!path.startsWith(ownPackages) && !modules.has(path)) modules.set(path, '')
    }
    return result
  },
})

let onStop: ((signal: string) => void)[] = []
let isStopping = false

function stop(signal: NodeJS.Signals): void {
  // A command that does not wait for signals ends as any program does; a second signal means at once.
  if (isStopping || onStop.length === 0) process.exit(signal === 'SIGINT' ? 130 : 143)
  isStopping = true
  for (const run of onStop) run(signal)
  onStop = []
}

process.on('SIGINT', stop)
process.on('SIGTERM', stop)
// Whoever read our output may have gone (`millrace tail | head`): nothing is left to say then.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

// The scheduler's timers do not keep a process alive; a command that waits for one must.
const alive = setInterval(() => undefined, 1 << 30)

const code = await main(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  scheduler: systemScheduler,
  disk: nodeDisk,
  out: (text) => void process.stdout.write(text),
  note: (text) => void process.stderr.write(text),
  stdin: process.stdin,
  isTerminal: process.stdout.isTTY,
  stopSignal: () => new Promise((resolve) => onStop.push(resolve)),
  nodeFlags: process.execArgv,
  entry,
  modules: { list: () => Array.from(modules, ([path, hash]) => ({ path, hash })) },
})
clearInterval(alive)
// Written output first: a pipe may still hold it.
process.exitCode = code
process.stdout.write('', () => process.exit(code))
