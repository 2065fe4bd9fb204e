// The user's line: where a method of the typed API was called.
import { fileURLToPath } from 'node:url'

/** The frame looks like "    at run (file:///app/pipeline.ts:12:7)" or "    at /app/pipeline.ts:12:7". */
const FRAME_PATTERN = /\(?([^()\s]+):(\d+):\d+\)?$/

/** Function whose caller is asked for. Its arguments do not matter. */
export type Caller = (...args: never[]) => unknown

/**
 * `file:line` of the call of `callee` (a public method that is running), or null where the engine gives no stack.
 * Costs one stack capture of one frame.
 */
export function placeOfCall(callee: Caller): string | null {
  const holder: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1
  Error.captureStackTrace(holder, callee)
  Error.stackTraceLimit = limit
  const frame = holder.stack?.split('\n').at(-1)?.trim()
  const found = frame === undefined ? null : FRAME_PATTERN.exec(frame)
  const [, file, line] = found ?? []
  if (file === undefined || line === undefined) return null
  return `${file.startsWith('file:') ? fileURLToPath(file) : file}:${line}`
}
