// The door to every npm script: installs what is missing, finds a Node that can run this tree, and runs the command's programs on it.
// Plain JavaScript for Node 20, because that is what may be there before anything is installed; it imports Node's own modules only.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))

/** The Node that runs the tree: `^24.11 || >=26`, as in the packages' `engines`. */
const NODE_WANTED = '24.11 or newer (or 26)'
const NODE_PACKAGE_VERSION = '24.21.0'

/** What each npm script runs, in order; the caller's arguments go to the last program. */
const COMMANDS = {
  start: [['scripts/console.ts', '--if-stale'], ['examples/flights/main.ts']],
  test: [['scripts/test.ts']],
  check: [['scripts/check.ts']],
  format: [['scripts/check.ts', '--write']],
  errors: [['scripts/write-errors.ts'], ['scripts/write-connectors.ts'], ['scripts/write-operators.ts'], ['scripts/write-reference.ts']],
  lock: [['scripts/lock.ts']],
  build: [['scripts/build.ts']],
  bench: [['bench/run.ts']],
  crash: [['sim/crash.ts']],
  sim: [['sim/run.ts']],
}

function fail(message) {
  process.stderr.write(`millrace: ${message}\n`)
  process.exit(1)
}

function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** The first reason why node_modules does not hold what the lock file names, or undefined. */
function whyInstall() {
  const locked = readJson(path.join(root, 'package-lock.json'))
  if (locked === undefined) return 'there is no package-lock.json'
  const installed = readJson(path.join(root, 'node_modules/.package-lock.json'))
  if (installed === undefined) return 'nothing is installed yet'
  for (const [place, wanted] of Object.entries(locked.packages)) {
    if (!place.includes('node_modules/') || (wanted.optional && !wanted.link)) continue
    const found = installed.packages[place]
    if (found === undefined || !existsSync(path.join(root, place))) return `${place} is missing`
    if (found.version !== wanted.version) return `${place} is ${found.version}, the lock file wants ${wanted.version}`
  }
  // npm links a program of the workspace only when its file was there.
  if (!existsSync(path.join(root, 'node_modules/.bin/millrace'))) return '`npx millrace` has no program yet'
  return undefined
}

/** npm of the run that called us, else the one on the PATH. */
function npm(args) {
  const own = process.env.npm_execpath
  return own !== undefined && own.endsWith('.js') ? [process.execPath, [own, ...args]] : ['npm', args]
}

async function installIfNeeded() {
  const reason = whyInstall()
  if (reason === undefined) return
  process.stderr.write(`millrace: installing (${reason}); this happens once and takes about half a minute\n`)
  // Development packages are named because NODE_ENV=production would leave them out.
  const install = existsSync(path.join(root, 'package-lock.json')) ? 'ci' : 'install'
  const [program, args] = npm([
    install,
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
  const code = await run(program, args, ['ignore', process.stderr.fd, process.stderr.fd])
  if (code !== 0)
    fail(
      `npm ${install} failed (exit code ${code}). Read its message above; without a network, set up a registry mirror with \`npm config set registry URL\`.`,
    )
}

function canRun(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return (major === 24 && minor >= 11) || major >= 26
}

function findNode() {
  if (canRun(process.versions.node)) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const packaged = path.join(root, 'node_modules', name, 'bin/node')
  if (existsSync(packaged)) return packaged
  return fail(
    `this needs Node ${NODE_WANTED}; this is ${process.versions.node} on ${process.platform} ${process.arch}. ` +
      `Install Node 24 from your usual source, or try \`npm install --no-save ${name}@${NODE_PACKAGE_VERSION}\`, then run the command again.`,
  )
}

/** Runs a program to its end and returns its exit code. It gets our signals, so that stopping npm stops it gracefully. */
function run(program, args, stdio) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio })
    const forward = (signal) => {
      // A terminal sends SIGINT to the whole group: the child has it already, and a second one would mean "now".
      if (signal === 'SIGINT' && process.stdin.isTTY) return
      child.kill(signal)
    }
    process.on('SIGINT', forward)
    process.on('SIGTERM', forward)
    child.on('error', (error) => fail(`cannot start ${program}: ${error.message}`))
    child.on('exit', (code, signal) => {
      process.off('SIGINT', forward)
      process.off('SIGTERM', forward)
      resolve(code ?? 128 + (constants.signals[signal] ?? 0))
    })
  })
}

async function main() {
  const [command, ...given] = process.argv.slice(2)
  const programs = COMMANDS[command]
  if (programs === undefined) fail(`unknown command \`${command}\`; there are: ${Object.keys(COMMANDS).join(', ')}`)
  const absent = programs.find(([file]) => !existsSync(path.join(root, file)))
  if (absent !== undefined) fail(`\`npm run ${command}\` runs ${absent[0]}, which this tree does not have yet`)
  await installIfNeeded()
  const node = findNode()
  for (const [index, [file, ...fixed]] of programs.entries()) {
    const last = index === programs.length - 1
    // mr-source: packages of the workspace resolve to their TypeScript sources, so nothing has to be built first.
    const args = ['--conditions=mr-source', path.join(root, file), ...fixed, ...(last ? given : [])]
    const code = await run(node, args, 'inherit')
    if (code !== 0) process.exit(code)
  }
}

await main()
