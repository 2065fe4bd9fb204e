// How an error looks on the terminal: what happened, where, and what to do. The stack only for those who ask.
import { errorOf } from '../server/http/answers.ts'
import { encodeJson } from '../json.ts'
import { withoutPlace } from './place-text.ts'

/** `error MR_CODE: message`, the place on a line of its own, `fix: ...`. */
export function errorText(thrown: unknown, options: { readonly json: boolean; readonly debug: boolean }): string {
  const error = errorOf(thrown)
  const { code, message, fix, details } = error
  if (options.json) return `${encodeJson({ error: { code, message, fix, details } })}\n`
  const { place } = details
  const places = typeof place === 'string' ? `\n  at ${place}` : ''
  const text = typeof place === 'string' ? withoutPlace(message) : message
  const stack = options.debug
    ? `\n${error.stack ?? ''}${error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : ''}`
    : ''
  return `error ${code}: ${text}${places}\n  fix: ${fix}${stack}\n`
}
