/** A tiny seeded generator (xorshift on 32 bits): the only source of chance in the model, so that a seed is a run. */
export interface Random {
  state: number
}

/** Starts a generator; equal seeds give equal sequences. */
export function randomFrom(seed: number): Random {
  const mixed = Math.imul((seed ^ 0x9e3779b9) | 0, 0x85ebca6b)
  return { state: (mixed ^ (mixed >>> 13)) | 1 }
}

/** The next integer in [0, 2^32). */
export function draw(random: Random): number {
  let x = random.state
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  random.state = x
  return Math.imul(x, 0x9e3779b1) >>> 0
}

/** An integer in [0, count). */
export function below(random: Random, count: number): number {
  return Math.floor((draw(random) / 4294967296) * count)
}

/** True in `percent` of the cases. */
export function chance(random: Random, percent: number): boolean {
  return below(random, 100) < percent
}

/** One of the values. */
export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[below(random, values.length)]
  if (value === undefined) throw new Error('pick from an empty list')
  return value
}

/** Mixes a number into an order-dependent 32-bit digest. */
export function mix(digest: number, value: number): number {
  const low = value | 0
  const high = Math.floor(value / 4294967296) | 0
  let x = Math.imul(digest ^ low, 0x85ebca6b)
  x ^= x >>> 15
  x = Math.imul(x ^ high, 0xc2b2ae35)
  return (x ^ (x >>> 13)) | 0
}
