// Settings from flags, environment and millrace.yaml, in that order. One table is the source of names, checks, help and documentation.
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { MillraceError, nearestWord } from '@millrace/core/engine'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { DATA_FOLDER, DEFAULT_HOST, DEFAULT_PORT, isHostName, isToken, RANGES } from '../server/defaults.ts'

export interface Settings {
  readonly data: string
  readonly host: string
  readonly port: number
  /** Where the port came from: one that somebody chose is also the one to speak to. */
  readonly isPortGiven: boolean
  readonly token: string | null
  readonly tlsKey: string | null
  readonly tlsCert: string | null
  readonly hosts: readonly string[]
  readonly bodyBytesMax: number
  readonly memoryBytes: number
  readonly diskReserveBytes: number
  readonly startAt: 'earliest' | 'latest'
  /** 0: the main thread. */
  readonly workers: number
  /** Null: the engine's own rule. */
  readonly snapshotBytesMin: number | null
}

type Kind = 'text' | 'path' | 'port' | 'bytes' | 'list' | 'start' | 'count'

export interface SettingSpec {
  readonly name: keyof Settings
  readonly kind: Kind
  readonly default: string
  readonly summary: string
  /** Why the default is what it is. */
  readonly reason: string
  /** Also a flag of `start` and `dev`. Secrets are not: other users of the machine see command lines. */
  readonly isFlag: boolean
}

/** Every setting of the server, in the order of the documentation. */
export const SETTINGS: readonly SettingSpec[] = [
  {
    name: 'data',
    kind: 'path',
    default: DATA_FOLDER,
    isFlag: true,
    summary: 'Folder of the log; made when missing, for its owner alone.',
    reason: 'Beside the pipeline, so that a project is one folder.',
  },
  {
    name: 'port',
    kind: 'port',
    default: String(DEFAULT_PORT),
    isFlag: true,
    summary: 'Port of the server; 0 takes a free one.',
    reason: 'Not used by a well-known service.',
  },
  {
    name: 'host',
    kind: 'text',
    default: DEFAULT_HOST,
    isFlag: true,
    summary: 'Address to listen on. Another than a loopback one needs a token.',
    reason: 'Nobody but this machine should reach a server that nobody secured.',
  },
  {
    name: 'token',
    kind: 'text',
    default: '',
    isFlag: false,
    summary: 'Secret that every request must carry as `Authorization: Bearer`.',
    reason: 'On the loopback address the machine is the border.',
  },
  {
    name: 'tlsKey',
    kind: 'path',
    default: '',
    isFlag: true,
    summary: 'File with the private key, PEM; together with tlsCert.',
    reason: 'A proxy usually does this.',
  },
  {
    name: 'tlsCert',
    kind: 'path',
    default: '',
    isFlag: true,
    summary: 'File with the certificate chain, PEM.',
    reason: 'A proxy usually does this.',
  },
  {
    name: 'hosts',
    kind: 'list',
    default: '',
    isFlag: true,
    summary: 'Further host names under which clients reach the server.',
    reason: 'A name that an attacker bound to this address must not work.',
  },
  {
    name: 'bodyBytesMax',
    kind: 'bytes',
    default: '32MiB',
    isFlag: false,
    summary: 'Largest request body, before and after decompression.',
    reason: 'Far above a good batch (1 MiB), far below the memory.',
  },
  {
    name: 'memoryBytes',
    kind: 'bytes',
    default: '256MiB',
    isFlag: true,
    summary:
      'Memory of what is in flight: a quarter for bodies, a quarter for events that wait, a quarter for the journal, and an eighth for what each task may have written ahead of a reader. State, and the `budgetBytes` of sinks, come on top.',
    reason: 'Enough for 300 MB/s, and small machines have it.',
  },
  {
    name: 'diskReserveBytes',
    kind: 'bytes',
    default: '256MiB',
    isFlag: true,
    summary: 'Free disk space below which the collector answers 507.',
    reason: 'What commits, sinks and retention need to work off what was taken in.',
  },
  {
    name: 'startAt',
    kind: 'start',
    default: 'earliest',
    isFlag: true,
    summary: 'Where a source begins that has no position yet: earliest or latest.',
    reason: 'Nothing that was collected is left out.',
  },
  {
    name: 'workers',
    kind: 'count',
    default: '0',
    isFlag: true,
    summary: 'Threads that the tasks of each pipeline are spread over; 0: all on the main thread.',
    reason: 'One thread has no messages to pay for; a topic with one partition has one task, which one thread runs.',
  },
  {
    name: 'snapshotBytesMin',
    kind: 'bytes',
    default: '',
    isFlag: false,
    summary:
      'Changelog of a task, in bytes, behind which its state is written as a new snapshot. Empty: 64 MiB, and as much as the state has.',
    reason: 'A tail of the changelog is read about as fast as a snapshot, and a snapshot costs as many writes as the state is large.',
  },
]

/** MILLRACE_BODY_BYTES_MAX for bodyBytesMax. */
export function environmentName(name: string): string {
  return `MILLRACE_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** `--body-bytes-max` for bodyBytesMax, without the dashes. */
export function flagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

interface Given {
  readonly value: string
  readonly place: string
}

export interface SettingsSources {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  /** Path of the settings file; null: millrace.yaml of the folder when there is one. */
  readonly file: string | null
}

/** @throws {MillraceError} `MR_SETTINGS_INVALID` with the place (flag, variable, or file and line), what was expected and the nearest word. */
export function readSettings(sources: SettingsSources): Settings {
  const path = resolve(sources.cwd, sources.file ?? 'millrace.yaml')
  const fromFile = readFile(path, sources.file !== null)
  requireKnownVariables(sources.env)
  const values = new Map<string, Given>()
  for (const { name, isFlag } of SETTINGS) {
    const flag = isFlag ? sources.flags[flagName(name)] : undefined
    const variable = sources.env[environmentName(name)]
    if (typeof flag === 'string') values.set(name, { value: flag, place: `--${flagName(name)}` })
    else if (variable !== undefined && (variable !== '' || NEVER_EMPTY.has(name)))
      values.set(name, { value: variable, place: environmentName(name) })
    else if (fromFile.has(name)) values.set(name, fromFile.get(name) as Given)
  }
  return settingsOf(values, sources.cwd)
}

/** An empty variable is one that is not set, as compose files write it; but these secure a server, and a server without would be open. */
const NEVER_EMPTY: ReadonlySet<string> = new Set(['token', 'tlsKey', 'tlsCert'])

function settingsOf(values: ReadonlyMap<string, Given>, cwd: string): Settings {
  const read = <T>(name: keyof Settings, parse: (given: Given, spec: SettingSpec) => T): T => {
    const spec = SETTINGS.find((one) => one.name === name) as SettingSpec
    return parse(values.get(name) ?? { value: spec.default, place: 'default' }, spec)
  }
  const path = (given: Given, spec: SettingSpec): string | null => {
    if (isDefault(given)) return given.value === '' ? null : join(cwd, given.value)
    if (given.value.trim() === '') return refuse(given, spec, 'a path')
    return isAbsolute(given.value) ? given.value : join(cwd, given.value)
  }
  const [tlsKey, tlsCert] = [read('tlsKey', path), read('tlsCert', path)]
  if ((tlsKey === null) !== (tlsCert === null)) {
    const given = values.get(tlsKey === null ? 'tlsCert' : 'tlsKey')?.place ?? ''
    throw new MillraceError('MR_SETTINGS_INVALID', {
      message: 'tlsKey and tlsCert belong together, and one of them is missing.',
      details: { place: given },
    })
  }
  return {
    data: read('data', path) ?? cwd,
    host: read('host', host),
    port: read('port', port),
    isPortGiven: values.has('port'),
    token: read('token', token),
    tlsKey,
    tlsCert,
    hosts: read('hosts', hosts),
    bodyBytesMax: read('bodyBytesMax', bytes),
    memoryBytes: read('memoryBytes', bytes),
    diskReserveBytes: read('diskReserveBytes', bytes),
    startAt: read('startAt', startAt),
    workers: read('workers', workerCount),
    snapshotBytesMin: values.has('snapshotBytesMin') ? read('snapshotBytesMin', bytes) : null,
  }
}

function isDefault({ place }: Given): boolean {
  return place === 'default'
}

function host(given: Given, spec: SettingSpec): string {
  return given.value.trim() === '' ? refuse(given, spec, 'an address or a name') : given.value
}

function token(given: Given, spec: SettingSpec): string | null {
  if (isDefault(given)) return null
  return isToken(given.value) ? given.value : refuse(given, spec, 'a text of ASCII without spaces at its ends')
}

function hosts(given: Given, spec: SettingSpec): readonly string[] {
  const names = given.value.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
  return names.every(isHostName) ? names : refuse(given, spec, 'names such as `plant.example.org`, separated by commas')
}

function refuse({ value, place }: Given, spec: SettingSpec, expected: string): never {
  // A secret is not shown, not even a wrong one.
  const shown = value === '' ? 'empty' : spec.name === 'token' ? 'what it is' : `\`${value.slice(0, 80)}\``
  throw new MillraceError('MR_SETTINGS_INVALID', {
    message: `\`${spec.name}\` must be ${expected}, not ${shown}.`,
    details: { place, setting: spec.name },
    fix: `${spec.summary} Example: ${spec.name}: ${spec.default === '' ? 'TEXT' : spec.default}`,
  })
}

function port(given: Given, spec: SettingSpec): number {
  const value = Number(given.value)
  return /^\d+$/.test(given.value) && value <= 65_535 ? value : refuse(given, spec, 'a whole number from 0 to 65535')
}

/** More threads than a machine has cores is a mistake in the number. */
const WORKERS_MAX = 64

function workerCount(given: Given, spec: SettingSpec): number {
  const value = Number(given.value)
  return /^\d+$/.test(given.value) && value <= WORKERS_MAX ? value : refuse(given, spec, `a whole number from 0 to ${WORKERS_MAX}`)
}

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1 << 10, mib: 1 << 20, gib: 1 << 30 }

function bytes(given: Given, spec: SettingSpec): number {
  const match = /^(\d+(?:\.\d+)?) *([a-z]*)$/i.exec(given.value)
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '?']
  const value = unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * unit)
  if (!Number.isSafeInteger(value)) return refuse(given, spec, 'a size such as 256MiB, 1GB or 1048576')
  const [least, most] = RANGES[spec.name as keyof typeof RANGES]
  return value >= least && value <= most ? value : refuse(given, spec, `a size from ${sizeText(least)} to ${sizeText(most)}`)
}

function sizeText(value: number): string {
  const unit = (['GiB', 'MiB', 'KiB'] as const).find((one) => value >= (UNITS[one.toLowerCase()] ?? 1))
  return unit === undefined ? String(value) : `${value / (UNITS[unit.toLowerCase()] ?? 1)}${unit}`
}

function startAt(given: Given, spec: SettingSpec): 'earliest' | 'latest' {
  if (given.value === 'earliest' || given.value === 'latest') return given.value
  const near = nearestWord(given.value, ['earliest', 'latest'])
  return refuse(given, spec, `\`earliest\` or \`latest\`${near === null ? '' : ` (did you mean \`${near}\`?)`}`)
}

/** Variables that start like ours and are none are misspelled ones. */
function requireKnownVariables(env: SettingsSources['env']): void {
  const known = SETTINGS.map(({ name }) => environmentName(name))
  for (const name of Object.keys(env)) {
    if (!name.startsWith('MILLRACE_') || known.includes(name)) continue
    const near = nearestWord(name, known)
    throw new MillraceError('MR_SETTINGS_INVALID', {
      message: `there is no setting for the variable ${name}${near === null ? '.' : `; did you mean ${near}?`}`,
      details: { place: name },
      fix: `There are: ${known.join(', ')}.`,
    })
  }
}

/** Far above a settings file with comments. */
const FILE_BYTES_MAX = 1 << 20

function readFile(path: string, isRequired: boolean): ReadonlyMap<string, Given> {
  let text: string
  try {
    const file = statSync(path)
    // Reading a pipe or a device would wait, or never end.
    if (!file.isFile()) throw new Error('it is no regular file')
    if (file.size > FILE_BYTES_MAX) throw new Error(`it has ${file.size} bytes, more than ${FILE_BYTES_MAX}`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (!isRequired && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw new MillraceError('MR_SETTINGS_INVALID', {
      message: 'the settings file cannot be read.',
      details: { place: path, reason: (error as Error).message },
      fix: 'Name a settings file that exists and can be read, or leave `--config` out: `millrace.yaml` of this folder is taken where there is one.',
      cause: error,
    })
  }
  return parseSettings(text, path)
}

/** Settings of a YAML text, with their places as `file:line:column`. Throws MR_SETTINGS_INVALID. */
export function parseSettings(text: string, path: string): ReadonlyMap<string, Given> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const placeAt = (position: number | undefined): string => {
    const { line, col } = lines.linePos(position ?? 0)
    return `${path}:${line}:${col}`
  }
  const [broken] = document.errors
  if (broken !== undefined)
    throw new MillraceError('MR_SETTINGS_INVALID', {
      message: `not valid YAML: ${broken.message}`,
      details: { place: placeAt(broken.pos[0]) },
      cause: broken,
    })
  const values = new Map<string, Given>()
  if (document.contents === null) return values
  if (!isMap(document.contents))
    throw new MillraceError('MR_SETTINGS_INVALID', {
      message: 'the file must hold settings as `name: value`.',
      details: { place: placeAt(0) },
    })
  const known = SETTINGS.map(({ name }) => name)
  for (const { key, value } of document.contents.items) {
    const name = isScalar(key) ? String(key.value) : ''
    const keyPlace = placeAt(isScalar(key) ? key.range?.[0] : 0)
    if (!(known as readonly string[]).includes(name)) {
      const near = nearestWord(name, known)
      throw new MillraceError('MR_SETTINGS_INVALID', {
        message: `there is no setting \`${name}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`,
        details: { place: keyPlace },
        fix: `There are: ${known.join(', ')}.`,
      })
    }
    values.set(name, valueOf(name, value, keyPlace, placeAt))
  }
  return values
}

/** A scalar as it is written, null when it is none: YAML would make another secret of `0012345`, and a port of `1e3`, which no flag takes. */
function scalarText(node: unknown): string | null {
  if (!isScalar(node)) return null
  const { value, source } = node
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value !== 'number' && typeof value !== 'boolean') return null
  return source ?? String(value)
}

function valueOf(name: string, value: unknown, keyPlace: string, placeAt: (position: number | undefined) => string): Given {
  const text = scalarText(value)
  if (isScalar(value) && text !== null) return { value: text, place: placeAt(value.range?.[0]) }
  const items = (value as { readonly items?: readonly unknown[] } | null)?.items
  if (name === 'hosts' && Array.isArray(items) && items.every(isScalar)) {
    return { value: items.map(scalarText).join(','), place: keyPlace }
  }
  throw new MillraceError('MR_SETTINGS_INVALID', {
    message: `\`${name}\` must be a single value.`,
    details: { place: keyPlace, setting: name },
  })
}
