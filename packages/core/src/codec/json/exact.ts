// JSON.parse and JSON.stringify where numbers must keep their digits (64-bit integers, decimals): source text access of ECMAScript 2026,
// which Node 24 has and the compiler's library does not know yet.

/** A JSON number with its text. */
export class ExactNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type SourceReviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown
const parse = JSON.parse as (text: string, reviver: SourceReviver) => unknown
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/** JSON.parse with every number as an ExactNumber. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  return parse(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined ? new ExactNumber(context.source) : value,
  )
}

/** JSON text of a value: bigint and ExactNumber as their digits, undefined as null. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, exactReplacer) ?? 'null'
}

function exactReplacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson(value.toString())
  return value instanceof ExactNumber ? rawJson(value.text) : value
}
