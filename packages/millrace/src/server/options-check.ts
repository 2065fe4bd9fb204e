// Options of a plant that cannot be meant are refused before anything is opened. The command line checks the same values with their place
// (cli/settings.ts); this is for programs that start a plant by themselves.
import { MillraceError } from '@millrace/core/engine'
import { isHostName, isToken, RANGES } from './defaults.ts'

export interface CheckedOptions {
  readonly folder: string | null
  readonly port?: number
  readonly token?: string | null
  readonly hosts?: readonly string[]
  readonly bodyBytesMax?: number
  readonly memoryBytes?: number
  readonly diskReserveBytes?: number
  readonly snapshotBytesMin?: number
}

/** @throws {MillraceError} `MR_SETTINGS_INVALID` with the name of the option. */
export function requireOptions(options: CheckedOptions): void {
  const { folder, port, token, hosts = [] } = options
  if (folder?.trim() === '') refuse('folder', 'a folder, or null for a plant in memory')
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) refuse('port', 'a whole number from 0 to 65535')
  if (token !== undefined && token !== null && !isToken(token)) refuse('token', 'a text of ASCII without spaces at its ends, or null')
  if (!hosts.every(isHostName)) refuse('hosts', 'names such as `plant.example.org`')
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = options[name as keyof typeof RANGES]
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
      refuse(name, `a whole number of bytes from ${least} to ${most}`)
  }
}

function refuse(setting: string, expected: string): never {
  throw new MillraceError('MR_SETTINGS_INVALID', {
    message: `\`${setting}\` must be ${expected}.`,
    details: { place: 'options of the plant', setting },
    fix: `Correct the option \`${setting}\`, or leave it out to get its default.`,
  })
}
