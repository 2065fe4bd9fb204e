// One owner per folder, by files that name their owner. Node has no advisory kernel locks, so an owner that died is recognised by its
// process id together with the process's start time (an id alone is used again), and the boot of the machine.
//
// The lock is the file `lock.N` with the highest N. It is never deleted while it is the highest, only overtaken by N+1:
//   take: read the highest N; owner alive -> refuse. Else create N+1 with its content in one step (link fails when it exists), then
//         look again: when somebody has created a higher one meanwhile, withdraw and start over. Lower ones are then removed.
//   release: empty the own file, which says "nobody".
// Why never two owners: numbers only grow, because the highest file is removed by nobody. To pass a living owner N somebody would have to
// create N+1 after seeing N dead or released; whoever saw an older state can only create a number at or below N, and finds N when it looks again.
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { MillraceError } from './errors.ts'

interface Owner {
  readonly pid: number
  /** Start of the process in ticks since boot; '' where the system does not tell. */
  readonly started: string
  readonly boot: string
  /** Process ids count per namespace: a container sees other ids than its host. */
  readonly namespace: string
  readonly host: string
}

const NAME = /^lock\.(\d+)$/
const TRIES_MAX = 100

/**
 * Takes the folder for this process. Local file systems only.
 * @throws {MillraceError} `MR_LOG_LOCKED` with the owner's process id.
 */
export function lockFolder(folder: string): { release(): void } {
  const self: Owner = { pid: process.pid, ...identity(process.pid), boot: bootId(), namespace: namespaceId(), host: os.hostname() }
  const draft = join(folder, `lock.draft-${self.pid}-${self.started}-${process.hrtime.bigint()}`)
  fs.writeFileSync(draft, JSON.stringify(self))
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const highest = highestNumber(folder)
      refuseWhileAlive(folder, highest, self)
      if (!create(draft, join(folder, `lock.${highest + 1}`))) continue
      if (highestNumber(folder) > highest + 1) {
        fs.rmSync(join(folder, `lock.${highest + 1}`), { force: true })
        continue
      }
      removeOlder(folder, highest)
      return releaseOf(join(folder, `lock.${highest + 1}`))
    }
  } finally {
    fs.rmSync(draft, { force: true })
  }
  throw new MillraceError('MR_LOG_LOCKED', { message: 'many processes want the data folder at once', details: { path: folder } })
}

function releaseOf(path: string): { release(): void } {
  let held = true
  return {
    release() {
      // Somebody may have removed the whole folder: then nothing is left to release.
      if (held && fs.existsSync(path)) fs.truncateSync(path, 0)
      held = false
    },
  }
}

function highestNumber(folder: string): number {
  return fs.readdirSync(folder).reduce((highest, name) => Math.max(highest, Number(NAME.exec(name)?.[1] ?? 0)), 0)
}

function create(draft: string, path: string): boolean {
  try {
    fs.linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function removeOlder(folder: string, upTo: number): void {
  for (const name of fs.readdirSync(folder)) {
    const number = Number(NAME.exec(name)?.[1] ?? Number.POSITIVE_INFINITY)
    if (number <= upTo) fs.rmSync(join(folder, name), { force: true })
  }
}

function refuseWhileAlive(folder: string, number: number, self: Owner): void {
  const path = join(folder, `lock.${number}`)
  const owner = number === 0 ? null : readOwner(path)
  if (owner === null || owner.boot !== self.boot) return
  const details = { path: folder, pid: owner.pid }
  if (owner.namespace !== self.namespace) {
    // The same host name means the same container started again, so the former one is gone. Otherwise nobody can tell: refuse.
    if (owner.host === self.host) return
    throw new MillraceError('MR_LOG_LOCKED', {
      message: 'a process in another container owns the data folder',
      details: { ...details, host: owner.host },
      fix: `Stop that container. When it is gone already, remove the file ${path}.`,
    })
  }
  if (isAlive(owner)) throw new MillraceError('MR_LOG_LOCKED', { details })
}

/** Null for a released lock, and for one whose content did not survive a power cut: its owner did not either. */
function readOwner(path: string): Owner | null {
  try {
    const owner: unknown = JSON.parse(fs.readFileSync(path, 'utf8'))
    return typeof owner === 'object' && owner !== null && 'pid' in owner ? (owner as Owner) : null
  } catch {
    return null
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    // Not permitted means that it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = identity(owner.pid)
  return !now.zombie && (owner.started === '' || now.started === '' || now.started === owner.started)
}

/** Start time and state from /proc/PID/stat, fields 22 and 3; the name in field 2 may contain anything, so count from its last bracket. */
function identity(pid: number): { readonly started: string; readonly zombie: boolean } {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { started: fields[19] ?? '', zombie: fields[0] === 'Z' || fields[0] === 'X' }
  } catch {
    return { started: '', zombie: false }
  }
}

function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

function namespaceId(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}
