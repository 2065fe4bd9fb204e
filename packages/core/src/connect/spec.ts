// The spec of a connector: one source for validation, documentation, help on the command line and the form of the page.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import { type Caller, placeOfCall } from '../base/place-of-call.ts'

export interface SettingField {
  readonly name: string
  /** `bytes` and `duration` are numbers (bytes, milliseconds); text such as `64 MiB` or `5 min`, as a file of settings has it, is accepted too. */
  readonly type: 'string' | 'number' | 'boolean' | 'bytes' | 'duration' | 'strings'
  readonly unit: string | null
  /** Null: none. A field that is not `required` may then be left out. */
  readonly default: string | number | boolean | readonly string[] | null
  readonly required?: boolean
  /** Least and largest number, both included. Least is 1 unless said. */
  readonly min?: number
  readonly max?: number
  /** The texts that are legal. */
  readonly choices?: readonly string[]
  /** What it does, and the trade-off in latency, memory and money. */
  readonly advice: string
}

/** One source for validation, documentation, CLI help and the console's form. */
export interface ConnectorSpec {
  readonly type: string
  readonly summary: string
  readonly fields: readonly SettingField[]
  readonly example: string
}

const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 }
const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** A wrong setting; it gets the user's line where the settings were given. */
class SettingRefused extends Error {
  readonly setting: string

  constructor(setting: string, message: string) {
    super(message)
    this.setting = setting
  }
}

function refuse(setting: string, message: string): never {
  throw new SettingRefused(setting, message)
}

/** `64 MiB` as a number; the value itself when it is not a number with a known unit. */
function measured(value: unknown, units: Readonly<Record<string, number>>): unknown {
  const parts = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(value) : null
  const factor = units[parts?.[2]?.toLowerCase() ?? '']
  return parts === null || factor === undefined ? value : Number(parts[1]) * factor
}

function checkNumber(spec: ConnectorSpec, field: SettingField, given: unknown): number {
  const units = field.type === 'bytes' ? BYTES : field.type === 'duration' ? DURATIONS : null
  const value = units === null ? given : measured(given, units)
  const { name, min = 1, max = Number.MAX_SAFE_INTEGER } = field
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`
  const example = field.type === 'bytes' ? ', or text such as `64 MiB`' : field.type === 'duration' ? ', or text such as `5 min`' : ''
  return refuse(
    name,
    `\`${name}\` must be a whole number${field.unit === null ? '' : ` of ${field.unit}`}, ${range}${example}, not \`${String(given)}\`.`,
  )
}

function checkText(spec: ConnectorSpec, { name, choices }: SettingField, value: unknown): string {
  if (typeof value !== 'string' || value === '') return refuse(name, `\`${name}\` must be a text, not \`${String(value)}\`.`)
  if (choices === undefined || choices.includes(value)) return value
  const near = nearestWord(value, choices)
  return refuse(name, `\`${name}\` is one of ${choices.join(', ')}, not \`${value}\`${near === null ? '' : `; did you mean \`${near}\`?`}`)
}

function checkValue(spec: ConnectorSpec, field: SettingField, value: unknown): unknown {
  const { name } = field
  switch (field.type) {
    case 'string':
      return checkText(spec, field, value)
    case 'strings':
      // One text stands for a list of one, as people write it.
      if (typeof value === 'string') return [checkText(spec, field, value)]
      if (!Array.isArray(value) || (field.required === true && value.length === 0))
        return refuse(name, `\`${name}\` must be a list of texts.`)
      return value.map((each: unknown) => checkText(spec, field, each))
    case 'boolean':
      return typeof value === 'boolean' ? value : refuse(name, `\`${name}\` must be true or false, not \`${String(value)}\`.`)
    case 'number':
    case 'bytes':
    case 'duration':
      return checkNumber(spec, field, value)
  }
}

/**
 * The settings with the defaults of the spec: every field of it, and nothing else.
 * @param maker The public function that was given them: its caller's line stands in the error.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` for a setting that is missing, unknown (with the nearest one), of another type or out of range.
 */
export function checkSettings(spec: ConnectorSpec, given: object, maker?: Caller): Readonly<Record<string, unknown>> {
  try {
    return checkedSettings(spec, given)
  } catch (error) {
    if (!(error instanceof SettingRefused)) throw error
    const place = maker === undefined ? null : placeOfCall(maker)
    throw new MillraceError('MR_CONNECTOR_SETTING', {
      message: error.message,
      details: { connector: spec.type, setting: error.setting, ...(place === null ? {} : { place }) },
    })
  }
}

function checkedSettings(spec: ConnectorSpec, given: object): Readonly<Record<string, unknown>> {
  const names = spec.fields.map((field) => field.name)
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue
    const near = nearestWord(name, names)
    refuse(name, `there is no setting \`${name}\`${near === null ? `; there are ${names.join(', ')}.` : `; did you mean \`${near}\`?`}`)
  }
  const settings: Record<string, unknown> = {}
  for (const field of spec.fields) {
    const value = (given as Readonly<Record<string, unknown>>)[field.name] ?? field.default
    if (value === null && field.required === true) refuse(field.name, `\`${field.name}\` is needed: ${field.advice}`)
    settings[field.name] = value === null ? null : checkValue(spec, field, value)
  }
  return Object.freeze(settings)
}
