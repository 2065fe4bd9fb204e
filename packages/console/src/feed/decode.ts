// JSON of the admin API into values. JSON has no infinities: the API writes them as '+inf' and '-inf', always in a field of milliseconds.

/** Parses a status. Only fields named `...Ms` are looked at: a user's own text may well be '+inf'. */
export function decodeStatus<T>(text: string): T {
  return JSON.parse(text, (key, value: unknown) => (key.endsWith('Ms') ? decodeMs(value) : value)) as T
}

function decodeMs(value: unknown): unknown {
  if (value === '+inf') return Number.POSITIVE_INFINITY
  if (value === '-inf') return Number.NEGATIVE_INFINITY
  return value
}
