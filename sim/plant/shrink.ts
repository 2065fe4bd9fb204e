// A failing seed with less of everything, as long as it still fails.
import type { Size } from './scenario.ts'
import { runSeed } from './simulate.ts'
import type { Outcome } from './simulate.ts'

export interface Small {
  readonly size: Size
  readonly outcome: Outcome
}

/** Null when nothing smaller fails. */
export async function shrink(seed: number, full: Size): Promise<Small | null> {
  let best: Small | null = null
  let size = full
  const plain = size.extras ? await runSeed(seed, { size: { ...size, extras: false } }) : null
  if (plain !== null && plain.violation !== null) {
    size = { ...size, extras: false }
    best = { size, outcome: plain }
  }
  for (const part of ['steps', 'ends', 'actions'] as const) {
    for (let less = part === 'ends' ? 1 : 0; less < size[part]; less++) {
      const tried = { ...size, [part]: less }
      const outcome = await runSeed(seed, { size: tried })
      if (outcome.violation === null) continue
      size = tried
      best = { size, outcome }
      break
    }
  }
  return best
}
