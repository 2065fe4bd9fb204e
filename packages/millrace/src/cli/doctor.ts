// `millrace doctor`: looks at what a plant needs of its machine, and says what to do about what is missing.
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { askPortOwner } from '../server/port-owner.ts'
import { CLOCK_FIX, CLOCK_LEAST_MS, logFolder } from '../server/defaults.ts'
import { readServerFile } from '../server/server-file.ts'
import type { HealthAnswer, HealthPart, LogStatus, PlantStatus } from '../api.ts'
import { Remote } from './remote.ts'
import { isMillraceError } from '@millrace/core/engine'
import { VERSION } from '../version.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { bytesText } from './format.ts'

interface Finding {
  readonly what: string
  readonly isGood: boolean
  readonly says: string
  readonly fix: string | null
}

export const doctor: Command = {
  name: 'doctor',
  usage: '',
  summary: 'Checks Node, data folder, disk, port and clock.',
  options: [],
  examples: [{ line: 'npx millrace doctor --data /var/lib/plant --port 8080', does: 'for these settings' }],
  words: [0, 0],
  async run(context, invocation) {
    const machine = [node(), folder(invocation), disk(context, invocation), await port(invocation), clock(context)]
    const findings = [...machine, ...(await running(invocation))]
    for (const finding of findings) {
      if (invocation.json) context.out(`${JSON.stringify(finding)}\n`)
      else
        context.out(
          `${finding.isGood ? 'ok     ' : 'problem'} ${finding.what.padEnd(7)} ${finding.says}\n${finding.fix === null ? '' : `        fix: ${finding.fix}\n`}`,
        )
    }
    return findings.every((finding) => finding.isGood) ? 0 : 1
  },
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isGood = (major === 24 && minor >= 11) || major >= 26
  return {
    what: 'node',
    isGood,
    says: `Node ${process.versions.node}, millrace ${VERSION}, ${process.platform} ${process.arch}`,
    fix: isGood ? null : 'Install Node 24.11 or newer.',
  }
}

function folder({ settings }: Invocation): Finding {
  const what = 'folder'
  const path = settings.data
  const server = readServerFile(path)
  if (server !== null) return { what, isGood: true, says: `${path}: a server runs at ${server.url} (process ${server.pid})`, fix: null }
  const existing = nearestExisting(path)
  try {
    if (!statSync(existing).isDirectory()) throw new Error(`${existing} is no folder`)
    accessSync(existing, constants.W_OK | constants.X_OK)
  } catch (error) {
    return {
      what,
      isGood: false,
      says: `${path}: ${(error as Error).message}`,
      fix: 'Choose a folder that this user may write, with `--data`.',
    }
  }
  const says = existing === path ? (existsSync(logFolder(path)) ? 'has data, no server runs' : 'empty') : 'can be made'
  return { what, isGood: true, says: `${path}: ${says}`, fix: null }
}

/** The path itself or the first folder above it that exists. */
function nearestExisting(path: string): string {
  let at = path
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at)
  return at
}

function disk(context: CliContext, { settings }: Invocation): Finding {
  const free = context.disk.freeBytes(nearestExisting(settings.data))
  const isGood = free > settings.diskReserveBytes
  return {
    what: 'disk',
    isGood,
    says: `${bytesText(free)} free, ${bytesText(settings.diskReserveBytes)} kept as reserve`,
    fix: isGood ? null : 'Free disk space, or lower `diskReserveBytes`: the collector answers 507 until then.',
  }
}

async function port({ settings }: Invocation): Promise<Finding> {
  const { host, port: wanted } = settings
  if (await isFree(host, wanted)) return { what: 'port', isGood: true, says: `${host}:${wanted} is free`, fix: null }
  const owner = await askPortOwner(host, wanted)
  if (owner === null)
    return {
      what: 'port',
      isGood: false,
      says: `${host}:${wanted} is taken by another program, or cannot be listened on`,
      fix: 'Choose another port with `--port N`.',
    }
  // One that asks for a token says to nobody where its data lies; the own folder says where its server is.
  const own = readServerFile(settings.data)
  const isOwn = owner.folder === settings.data || (own !== null && new URL(own.url).port === String(wanted))
  const place = isOwn
    ? `, process ${owner.pid ?? own?.pid}, folder ${settings.data}`
    : owner.pid === null
      ? ''
      : `, process ${owner.pid}, folder ${owner.folder ?? 'none'}`
  return {
    what: 'port',
    isGood: isOwn,
    says: `${host}:${wanted} is taken by millrace${place}`,
    fix: isOwn ? null : 'Choose another port with `--port N`.',
  }
}

function isFree(host: string, wanted: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(wanted, host, () => probe.close(() => resolve(true)))
  })
}

/** What the server that runs for the folder says of itself. */
async function running(invocation: Invocation): Promise<readonly Finding[]> {
  const { data, token } = invocation.settings
  const server = readServerFile(data)
  if (server === null) return []
  // Where it is, and not on the port that is asked about.
  const remote = new Remote(server.url, true, token, () => Promise.resolve())
  try {
    const { log } = await remote.json<PlantStatus>('/api/status')
    const { parts } = await remote.json<HealthAnswer>('/health?live')
    return [...parts.map(partFinding), ...(log === null ? [] : [logFinding(log)])]
  } catch (error) {
    if (!isMillraceError(error)) throw error
    return [{ what: 'server', isGood: false, says: error.message, fix: error.fix }]
  } finally {
    await remote.close()
  }
}

function partFinding({ part, name, status, reasons }: HealthPart): Finding {
  const what = name === null ? part : `${part} ${name}`
  const says = reasons.map((reason) => {
    const place = reason.task ?? (reason.topic === undefined ? '' : `${reason.topic}/${reason.partition}`)
    return `${place === '' ? '' : `${place}: `}${reason.code} ${reason.message}`
  })
  return {
    what: 'server',
    isGood: status === 'ok',
    says: `${what}: ${says.length === 0 ? 'works' : [...new Set(says)].join('; ')}`,
    fix: reasons.length === 0 ? null : [...new Set(reasons.map(({ fix }) => fix))].join(' '),
  }
}

function logFinding({ directWrites, requestKeysForgotten }: LogStatus): Finding {
  const writes =
    directWrites === null
      ? 'no checkpoint yet'
      : directWrites === 'taken'
        ? 'checkpoints are written directly'
        : 'the file system takes no direct writes, checkpoints are slower'
  const isGood = requestKeysForgotten === 0
  return {
    what: 'log',
    isGood,
    says: `${writes}${isGood ? '' : `; ${requestKeysForgotten} keys of requests were forgotten before their 24 hours`}`,
    fix: isGood ? null : 'Send larger batches, each with one `Idempotency-Key`.',
  }
}

function clock({ clock: own }: CliContext): Finding {
  const isGood = own.nowMs() > CLOCK_LEAST_MS
  return {
    what: 'clock',
    isGood,
    says: new Date(own.nowMs()).toISOString(),
    fix: isGood ? null : CLOCK_FIX,
  }
}
