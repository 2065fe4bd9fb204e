// The places that one sink writes to alone, and who that is. One of these for a pipeline while it is built, one for all pipelines of a plant.
import type { Plan, PlanNode } from './node.ts'
import { refusePlan } from './shape.ts'

/** A node that may be a sink, as far as its places go. */
type Owner = Extract<PlanNode, { readonly kind: 'to-sink' }>

export class OwnedPlaces {
  readonly #owners = new Map<string, { readonly pipeline: string; readonly node: Owner }>()

  /**
   * Notes the places of a sink.
   * @throws {MillraceError} `MR_PLAN_PLACE_TAKEN` when another one has such a place, with the operators and lines of both.
   */
  take(pipeline: string, node: Owner): void {
    this.#refuseTaken(pipeline, node)
    for (const place of node.sink.owns ?? []) this.#owners.set(place, { pipeline, node })
  }

  /** Notes the places of all sinks of a plan, or none of them. Throws `MR_PLAN_PLACE_TAKEN`. */
  takeAll(plan: Plan): void {
    this.check(plan)
    for (const node of sinksOf(plan)) this.take(plan.pipeline, node)
  }

  /** Throws `MR_PLAN_PLACE_TAKEN` when a sink of the plan would write where another one writes; notes nothing. */
  check(plan: Plan): void {
    for (const node of sinksOf(plan)) this.#refuseTaken(plan.pipeline, node)
  }

  #refuseTaken(pipeline: string, node: Owner): void {
    for (const place of node.sink.owns ?? []) {
      const taken = this.#owners.get(place)
      if (taken === undefined) continue
      const other = `\`${taken.node.name}\`${taken.pipeline === pipeline ? '' : ` of the pipeline \`${taken.pipeline}\``}`
      refusePlan(
        'MR_PLAN_PLACE_TAKEN',
        { operator: node.name, place: node.place },
        `\`${place}\` is written by ${other} at ${taken.node.place ?? 'another place'} already, and \`${node.name}\` would write to it, too.`,
      )
    }
  }
}

function sinksOf({ nodes }: Plan): readonly Owner[] {
  return nodes.filter((node) => node.kind === 'to-sink')
}
