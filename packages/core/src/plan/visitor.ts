// One entry per kind of node: a new kind does not compile until every visitor knows it.
import type { PlanNode, PlanNodeKind } from './node.ts'

/** The node type of a kind. */
export type NodeOf<K extends PlanNodeKind> = Extract<PlanNode, { readonly kind: K }>

/** What to do with each kind of node. `A` is whatever the visit carries along. */
export type PlanVisitor<R, A extends readonly unknown[] = readonly []> = {
  readonly [K in PlanNodeKind]: (node: NodeOf<K>, ...carried: A) => R
}

/** Calls the visitor's entry for the node. */
export function visit<R, A extends readonly unknown[]>(visitor: PlanVisitor<R, A>, node: PlanNode, ...carried: A): R {
  const enter = visitor[node.kind] as (node: PlanNode, ...carried: A) => R
  return enter(node, ...carried)
}
