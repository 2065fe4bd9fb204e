// The server's own log: one line per cause, for people or as JSON. Never a record's content, never a token.
import type { Clock } from '@millrace/core/engine'
import { encodeJson } from '../../json.ts'
import { printable } from '../../printable.ts'

export type LogLevel = 'info' | 'warning' | 'error'

/** Fields of a line. `code` and `fix` come from the error table. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

export interface LogLines {
  write(level: LogLevel, message: string, fields?: LogFields): void
}

export interface LogLinesOptions {
  readonly clock: Clock
  /** JSON objects, one a line; else lines for people. */
  readonly json: boolean
  readonly out: (line: string) => void
}

/** A log that writes to `out`, a line with its end at a time. */
export function createLogLines({ clock, json, out }: LogLinesOptions): LogLines {
  return {
    write(level, message, fields = {}) {
      const at = new Date(clock.nowMs()).toISOString()
      if (json) out(`${encodeJson({ at, level, message, ...fields })}\n`)
      else out(printable(`${at.slice(11, 19)} ${level === 'info' ? '' : `${level} `}${oneLine(message)}${tail(fields)}\n`))
    },
  }
}

/** A log that nobody reads. */
export const silentLog: LogLines = { write: () => undefined }

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}

function tail(fields: LogFields): string {
  const { fix, code, ...rest } = fields
  const places = Object.entries(rest).map(([name, value]) => ` ${name}=${String(value)}`)
  const said = typeof fix === 'string' && fix !== '' ? `\n         fix: ${fix}` : ''
  return `${places.join('')}${typeof code === 'string' ? ` (${code})` : ''}${said}`
}
