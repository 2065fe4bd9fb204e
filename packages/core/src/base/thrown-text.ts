// What somebody's code threw, as text. It may be anything, and looking at it may throw again.
import { inspect } from 'node:util'

const CHARS_MAX = 10_000

/** `name: message` of an error, a text as it is, anything else as Node shows it. Never throws. */
export function thrownText(thrown: unknown): string {
  try {
    if (typeof thrown === 'string') return thrown
    if (thrown instanceof Error) {
      const { name, message }: { readonly name: unknown; readonly message: unknown } = thrown
      if (typeof name === 'string' && typeof message === 'string') return `${name}: ${message}`
    }
    return inspect(thrown, { depth: 3, breakLength: Infinity, maxStringLength: CHARS_MAX, getters: false, customInspect: false })
  } catch {
    return 'a value that cannot be shown'
  }
}
