// The code version of a plan: what stands in every binding, so that a replay knows by which code a tick was made.
import { hashText } from './hash-text.ts'
import type { Plan } from './node.ts'
import { serializePlan } from './serialize.ts'

/**
 * Hash of everything the plan means: nodes, settings and the source text of lambdas. Not of places: moving code is no change. `modules`:
 * hashes of what lambdas may call and the plan cannot see (user modules, the lock file), in any order.
 */
export function codeVersion(plan: Plan, modules: readonly string[] = []): string {
  const stored = serializePlan(plan)
  const nodes = stored.nodes.map((node) => ({ ...node, place: null }))
  return hashText(JSON.stringify({ ...stored, nodes, modules: [...modules].sort() }))
}
