// The nearest valid word, for messages that mend a misspelling.

/** Levenshtein distance with transposition of neighbours; stops caring above `max` (the result is then max + 1). */
function distance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1)
      row.push(best)
    }
    before = last
    last = row
  }
  return Math.min(last[b.length] ?? 0, max + 1)
}

/** The word of `words` that `word` most likely meant, or null when none is near (more than a third of the letters differ). Case is ignored. */
export function nearestWord(word: string, words: Iterable<string>): string | null {
  const wanted = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(2, Math.ceil(word.length / 3)) + 1
  for (const candidate of words) {
    const found = distance(wanted, candidate.toLowerCase(), bestDistance - 1)
    // A distance as long as the word itself shares nothing with it.
    if (found < bestDistance && found < Math.max(word.length, candidate.length)) {
      best = candidate
      bestDistance = found
    }
  }
  return best
}
