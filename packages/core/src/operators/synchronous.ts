// User code must give its result at once: nobody waits for a promise here, and one that fails with nobody looking ends the process.
import { MillraceError } from '../base/errors.ts'

/** A row, its fields, and what is in these: so deep promises are looked for. */
const DEPTH = 2

/** True for a promise and for anything else that has to be waited for. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { readonly then?: unknown }).then === 'function'
}

/**
 * What user code returned, when it is there now.
 * @throws {MillraceError} `MR_RUNTIME_USER_ASYNC` for a promise; its failure is nobody's from then on.
 */
export function atOnce<Value>(value: Value): Value {
  if (isPromise(value)) refuse(value)
  return value
}

/** `atOnce` for a value that is kept as it is: also its fields, or its items, and what is in these. */
export function atOnceWithin<Value>(value: Value): Value {
  if (hasPromise(value, DEPTH)) refuse(value)
  return value
}

/** A refused value may hold promises, of which nobody will hear: their failures are taken note of, and nothing else. Never throws. */
export function disarm(value: unknown, depth: number = DEPTH): void {
  try {
    if (isPromise(value)) void Promise.resolve(value).then(undefined, () => undefined)
    else if (depth > 0 && typeof value === 'object' && value !== null)
      for (const part of value instanceof Set ? value : Object.values(value)) disarm(part, depth - 1)
  } catch {
    // A getter that throws: what cannot be read cannot be waited for either.
  }
}

function refuse(value: unknown): never {
  disarm(value)
  throw new MillraceError('MR_RUNTIME_USER_ASYNC')
}

function hasPromise(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (typeof (value as { readonly then?: unknown }).then === 'function') return true
  if (depth === 0 || ArrayBuffer.isView(value)) return false
  if (Array.isArray(value)) return value.some((part) => hasPromise(part, depth - 1))
  for (const name in value) if (hasPromise((value as Readonly<Record<string, unknown>>)[name], depth - 1)) return true
  return false
}
