// Assertions for programmer errors. An operating error (bad input, full disk) is a MillraceError instead; the two never mix.
// A failed assertion stops the task or process it happens in and is never caught in order to retry.

/** A broken invariant: a bug in millrace, never the user's fault. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure'
}

/** Throws unless `condition` holds. Pass a function when building the message costs something. */
export function assert(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionFailure(typeof message === 'string' ? message : message())
}

/** Returns `value`, which must be there; `what` names it in the failure. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionFailure(`missing: ${what}`)
  return value
}

/** Marks a branch that the type system has proved empty. */
export function unreachable(value: never, what = 'value'): never {
  throw new AssertionFailure(`unexpected ${what}: ${JSON.stringify(value)}`)
}
