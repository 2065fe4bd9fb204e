// Times as people and headers write them.

const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/
const AGE = /^-(\d+)(s|m|h|d)$/
const AGE_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of an ISO-8601 text; without an offset it is UTC. Null for anything else: `Date.parse` would guess. */
export function isoMs(text: string): number | null {
  const match = ISO.exec(text)
  if (match === null) return null
  // `Date.parse` takes the 30th of February for the 2nd of March.
  const day = text.slice(0, 10)
  const dayMs = Date.parse(day)
  if (Number.isNaN(dayMs) || !new Date(dayMs).toISOString().startsWith(day)) return null
  const timeMs = Date.parse(text.length > 10 && match[1] === undefined ? `${text}Z` : text)
  return Number.isNaN(timeMs) ? null : timeMs
}

/** Milliseconds of an ISO-8601 text, or of an age before now such as `-10m`. Null for anything else. */
export function timeOrAgeMs(text: string, nowMs: number): number | null {
  const age = AGE.exec(text)
  return age === null ? isoMs(text) : nowMs - Number(age[1]) * (AGE_MS[age[2] as string] as number)
}
