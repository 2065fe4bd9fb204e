// The command line: finds the command, reads flags and settings, runs it, says what went wrong. Exit codes: 0 done, 1 failed or found
// something, 2 called wrongly.
import { parseArgs } from 'node:util'
import { isMillraceError, MillraceError, nearestWord } from '@millrace/core/engine'
import { VERSION } from '../version.ts'
import type { CliContext, Command, Invocation, Option } from './context.ts'
import { check, dev } from './dev.ts'
import { dlq } from './dlq.ts'
import { doctor } from './doctor.ts'
import { flagError } from './flag-error.ts'
import { fsck } from './fsck.ts'
import { commandHelp, programHelp } from './help.ts'
import { init } from './init.ts'
import { plan } from './plan.ts'
import { errorText } from './print-error.ts'
import { produce } from './produce.ts'
import { replay } from './replay.ts'
import { flagName, readSettings, SETTINGS } from './settings.ts'
import { start } from './start.ts'
import { status } from './status.ts'
import { SUPERVISED } from './supervise.ts'
import { table } from './table.ts'
import { tail } from './tail.ts'
import { topics } from './topics.ts'

export const COMMANDS: readonly Command[] = [init, dev, start, check, plan, status, topics, produce, tail, table, replay, dlq, fsck, doctor]

/** Flags that every command takes. */
export const COMMON_OPTIONS: readonly Option[] = [
  { name: 'config', value: 'FILE', summary: 'Settings file; default millrace.yaml of this folder, when there is one.' },
  { name: 'json', summary: 'JSON for programs, one object a line.' },
  { name: 'debug', summary: 'Errors with their stack.' },
  { name: 'help', short: 'h', summary: 'This text.' },
]

/** How `dev` starts its plant; in no help. */
const SUPERVISED_OPTION: Option = { name: SUPERVISED, summary: '' }

/** Settings that are also flags; `data` and `port` for all, the rest for those that run a plant. */
export function settingOptions(command: Command): readonly Option[] {
  const all = ['start', 'dev'].includes(command.name)
  return SETTINGS.filter(({ name, isFlag }) => isFlag && (all || name === 'data' || name === 'port')).map(
    ({ name, summary, default: fallback }) => ({
      name: flagName(name),
      value: name === 'port' || name === 'workers' ? 'N' : name === 'data' ? 'FOLDER' : 'VALUE',
      summary: fallback === '' ? summary : `${summary} Default ${fallback}.`,
    }),
  )
}

/** Runs the command line and returns the exit code. Never throws. */
export async function main(args: readonly string[], context: CliContext): Promise<number> {
  const json = args.includes('--json')
  try {
    return await run(args, context)
  } catch (error) {
    context.note(errorText(error, { json, debug: args.includes('--debug') }))
    return isMillraceError(error) && error.code === 'MR_CLI_USAGE' ? 2 : 1
  }
}

async function run(args: readonly string[], context: CliContext): Promise<number> {
  const [word, ...rest] = args
  if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    const asked = word === 'help' && rest[0] !== undefined ? commandOf(rest[0]) : null
    context.out(asked === null ? programHelp(COMMANDS) : commandHelp(asked, [...settingOptions(asked), ...COMMON_OPTIONS]))
    return word === undefined ? 2 : 0
  }
  if (word === '--version' || word === '-v') {
    context.out(`${VERSION}\n`)
    return 0
  }
  const command = commandOf(word)
  const options = [...command.options, ...settingOptions(command), ...COMMON_OPTIONS, ...(command === dev ? [SUPERVISED_OPTION] : [])]
  const { words, values } = parse(command, options, rest)
  if (values['help'] === true) {
    context.out(commandHelp(command, [...settingOptions(command), ...COMMON_OPTIONS]))
    return 0
  }
  requireWords(command, words)
  const file = typeof values['config'] === 'string' ? values['config'] : null
  const settings = readSettings({ cwd: context.cwd, env: context.env, flags: values, file })
  const invocation: Invocation = { words, options: values, settings, json: values['json'] === true }
  try {
    return await command.run(context, invocation)
  } catch (error) {
    throw flagError(error, command)
  }
}

function commandOf(word: string): Command {
  const found = COMMANDS.find(({ name }) => name === word)
  if (found !== undefined) return found
  const flag = word.startsWith('--') ? word.slice(2).split('=')[0] : undefined
  if (flag !== undefined && [...settingOptions(start), ...COMMON_OPTIONS].some(({ name }) => name === flag))
    throw new MillraceError('MR_CLI_USAGE', {
      message: `\`--${flag}\` needs a command in front of it.`,
      fix: `\`npx millrace COMMAND --${flag}\`; commands: ${COMMANDS.map(({ name }) => name).join(', ')}.`,
    })
  const near = word.startsWith('-')
    ? null
    : nearestWord(
        word,
        COMMANDS.map(({ name }) => name),
      )
  throw new MillraceError('MR_CLI_USAGE', {
    message: `there is no ${word.startsWith('-') ? 'flag' : 'command'} \`${word}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    fix: `Commands: ${COMMANDS.map(({ name }) => name).join(', ')}.`,
  })
}

interface Parsed {
  readonly words: readonly string[]
  readonly values: Readonly<Record<string, string | boolean | undefined>>
}

function parse(command: Command, options: readonly Option[], args: readonly string[]): Parsed {
  const specs = Object.fromEntries(
    options.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short === undefined ? {} : { short }) },
    ]),
  )
  // Not strict: the messages of strict mode do not say what was meant.
  const { tokens } = parseArgs({ args: [...args], options: specs, strict: false, allowPositionals: true, tokens: true })
  const words: string[] = []
  const values: Record<string, string | boolean> = {}
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const option = options.find(({ name }) => name === token.name)
    const example = `\`npx millrace ${command.name} --help\``
    if (option === undefined) {
      const near = nearestWord(
        token.name,
        options.map(({ name }) => name),
      )
      throw new MillraceError('MR_CLI_USAGE', {
        message: `${command.name} has no flag \`${token.rawName}\`${near === null ? '.' : `; did you mean \`--${near}\`?`}`,
        fix: `See ${example}.`,
      })
    }
    if (option.value !== undefined && (token.value === undefined || (token.inlineValue !== true && token.value.startsWith('--')))) {
      throw new MillraceError('MR_CLI_USAGE', { message: `\`--${option.name}\` needs a value: ${option.value}.`, fix: `See ${example}.` })
    }
    if (option.value === undefined && token.value !== undefined && token.inlineValue === true) {
      throw new MillraceError('MR_CLI_USAGE', { message: `\`--${option.name}\` takes no value.`, fix: `See ${example}.` })
    }
    values[option.name] = option.value === undefined ? true : (token.value as string)
  }
  return { words, values }
}

function requireWords({ name, usage, words: [least, most] }: Command, words: readonly string[]): void {
  if (words.length >= least && words.length <= most) return
  const message =
    words.length < least
      ? `${name} needs ${usage}.`
      : `${name} takes ${usage === '' ? 'no words' : usage}, and \`${words[most]}\` is one too many.`
  throw new MillraceError('MR_CLI_USAGE', { message, fix: `See \`npx millrace ${name} --help\`.` })
}
