// Flags become parameters and members of requests. What a server says of one of those is said of the flag to whoever typed it.
import { ERRORS, isMillraceError, MillraceError } from '@millrace/core/engine'
import type { Command } from './context.ts'
import { flagName } from './settings.ts'

/** An error about what a flag of the command became, as MR_CLI_USAGE; every other error as it is. */
export function flagError(error: unknown, { name, options }: Command): unknown {
  if (!isMillraceError(error) || (error.code !== 'MR_HTTP_QUERY_INVALID' && error.code !== 'MR_HTTP_BODY_INVALID')) return error
  const { parameter, member = parameter, ...details } = error.details
  const flag = typeof member === 'string' ? flagName(member) : null
  if (flag === null || !options.some((option) => option.name === flag)) return error
  const [quoted, place] = [`\`${member}\``, /(?: |, )(?:parameter|member)=`[^`]*`,?/]
  const text = error.message.replace(place, '')
  const fix = error.fix === ERRORS[error.code].fix ? '' : `${error.fix} `
  const usage = new MillraceError('MR_CLI_USAGE', {
    message: text.startsWith(quoted) ? `\`--${flag}\`${text.slice(quoted.length)}` : text,
    fix: `${fix}See \`npx millrace ${name} --help\`.`,
    cause: error,
  })
  // The message has its details already.
  return Object.assign(usage, { details })
}
