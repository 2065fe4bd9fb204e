// Any value as text, for messages, keys and `to-string`: texts as they are, objects as JSON and never as `[object Object]`.

export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return value.toString()
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return JSON.stringify(value) ?? 'undefined'
}
