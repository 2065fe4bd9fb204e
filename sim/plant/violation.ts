// How a law says that it does not hold.
export class Violation extends Error {
  override readonly name = 'Violation'
}

export function violated(what: string): never {
  throw new Violation(what)
}

/** Compares two collections of texts as multisets. */
export function sameTexts(what: string, seen: readonly string[], expected: readonly string[]): void {
  const counts = new Map<string, number>()
  for (const text of expected) counts.set(text, (counts.get(text) ?? 0) + 1)
  for (const text of seen) counts.set(text, (counts.get(text) ?? 0) - 1)
  const missing = [...counts].filter(([, count]) => count > 0)
  const extra = [...counts].filter(([, count]) => count < 0)
  if (missing.length === 0 && extra.length === 0) return
  const show = (list: readonly (readonly [string, number])[]): string =>
    list
      .slice(0, 3)
      .map(([text, count]) => `${text} x${Math.abs(count)}`)
      .join(', ')
  violated(
    `${what}: ${missing.length} missing (${show(missing)}), ${extra.length} too many (${show(extra)}); ${seen.length} seen, ${expected.length} expected`,
  )
}
