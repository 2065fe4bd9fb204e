// JSON with the infinities that watermarks have: `+inf` and `-inf` as strings on the wire.

/** JSON text of a value; infinities become the strings '+inf' and '-inf', NaN becomes null. */
export function encodeJson(value: unknown, space?: number): string {
  return JSON.stringify(value, replace, space)
}

function replace(_key: string, value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY) return '+inf'
  if (value === Number.NEGATIVE_INFINITY) return '-inf'
  return typeof value === 'bigint' ? value.toString() : value
}

/** The value of a text that `encodeJson` wrote: the strings '+inf' and '-inf' become infinities. Throws SyntaxError. */
export function decodeJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) =>
    value === '+inf' ? Number.POSITIVE_INFINITY : value === '-inf' ? Number.NEGATIVE_INFINITY : value,
  )
}
