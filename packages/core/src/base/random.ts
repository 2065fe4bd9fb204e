// Seeded randomness: everything random derives from one of these, so a run can be repeated from its seed.

export interface Random {
  /** A whole number, 0 <= n < limit. */
  below(limit: number): number
  /** A number, 0 <= x < 1. */
  fraction(): number
  /** True with probability `p`. */
  chance(p: number): boolean
  /** One of the items; the list is not empty. */
  pick<T>(items: readonly T[]): T
  /** A generator of its own, so that one consumer's use does not shift another's. */
  fork(): Random
}

/** xorshift128 seeded by splitmix32: fast, small, good enough for simulation; never for secrets. */
export function seededRandom(seed: number): Random {
  let mix = seed | 0
  const next32 = (): number => {
    mix = (mix + 0x9e3779b9) | 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let a = next32()
  let b = next32()
  let c = next32()
  let d = next32() | 1
  const raw = (): number => {
    const t = b << 9
    let r = Math.imul(b, 5)
    r = Math.imul((r << 7) | (r >>> 25), 9)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << 11) | (d >>> 21)
    return r >>> 0
  }
  const random: Random = {
    below: (limit) => Math.floor((raw() / 4294967296) * limit),
    fraction: () => raw() / 4294967296,
    chance: (p) => raw() / 4294967296 < p,
    pick: <T>(items: readonly T[]): T => items[Math.floor((raw() / 4294967296) * items.length)] as T,
    fork: () => seededRandom(raw()),
  }
  return random
}
