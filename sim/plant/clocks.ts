// The clocks of all tasks from scratch: what the binders stated (they bind the sources) and rule 20 for everybody behind an exchange.
// The runtime recomputes these clocks after a crash, so what it did must agree with this, however its commits were cut.
import type { ProgressRecord, Topology } from '@millrace/core/engine'

interface Clock {
  readonly tick: number
  readonly watermark: number
  readonly status: 'active' | 'idle' | 'ended'
}

/** Progress records by `part/group`. */
export type Progress = ReadonlyMap<string, readonly ProgressRecord[]>

export class Clocks {
  readonly #topology: Topology
  readonly #progress: Progress
  readonly #timelines = new Map<string, readonly Clock[]>()

  constructor(topology: Topology, progress: Progress) {
    this.#topology = topology
    this.#progress = progress
  }

  /** The part that runs the node of that name. */
  partOf(nodeId: number): string {
    const part = this.#topology.parts.find((other) => other.nodes.includes(nodeId))
    if (part === undefined) throw new Error(`no part runs node ${nodeId}`)
    return part.name
  }

  isBinder(part: string): boolean {
    return this.#part(part).inputs.every((input) => input.kind !== 'exchange')
  }

  groups(part: string): number {
    return this.#part(part).groups
  }

  #part(name: string): Topology['parts'][number] {
    const part = this.#topology.parts.find((other) => other.name === name)
    if (part === undefined) throw new Error(`no part ${name}`)
    return part
  }

  /** Watermark that decides lateness in `tick`: the one before it (rule 22). */
  before(part: string, group: number, tick: number): number {
    let watermark = Number.NEGATIVE_INFINITY
    for (const clock of this.timeline(part, group)) if (clock.tick < tick) watermark = clock.watermark
    return watermark
  }

  /** Watermark at the end of everything. */
  last(part: string, group: number): number {
    return this.timeline(part, group).at(-1)?.watermark ?? Number.NEGATIVE_INFINITY
  }

  /** The clocks of a task, one per tick at which they may have changed, oldest first. */
  timeline(part: string, group: number): readonly Clock[] {
    const id = this.isBinder(part) ? `${part}/${group}` : part
    const known = this.#timelines.get(id)
    if (known !== undefined) return known
    const made = this.isBinder(part) ? this.#stated(`${part}/${group}`) : this.#combined(part)
    this.#timelines.set(id, made)
    return made
  }

  #stated(task: string): readonly Clock[] {
    return (this.#progress.get(task) ?? []).flatMap((record) => record.entries)
  }

  #combined(part: string): readonly Clock[] {
    const producers = new Set(this.#part(part).inputs.flatMap((input) => (input.kind === 'exchange' ? [input.producer] : [])))
    const lines = [...producers].flatMap((name) => Array.from({ length: this.groups(name) }, (_, group) => this.timeline(name, group)))
    const ticks = [...new Set(lines.flatMap((line) => line.map((clock) => clock.tick)))].sort((a, b) => a - b)
    const at = lines.map(() => -1)
    const timeline: Clock[] = []
    let watermark = Number.NEGATIVE_INFINITY
    for (const tick of ticks) {
      for (const [index, line] of lines.entries())
        while ((line[(at[index] as number) + 1]?.tick ?? Infinity) <= tick) at[index] = (at[index] as number) + 1
      const now = combine(lines.map((line, index) => line[at[index] as number]))
      watermark = Math.max(watermark, now.watermark)
      timeline.push({ tick, watermark, status: now.status })
    }
    return timeline
  }
}

/** Rule 20; no entry yet is (-Infinity, active). */
function combine(inputs: readonly (Clock | undefined)[]): Omit<Clock, 'tick'> {
  const all = inputs.map((input) => input ?? { watermark: Number.NEGATIVE_INFINITY, status: 'active' as const })
  const active = all.filter((input) => input.status === 'active')
  if (active.length > 0) return { watermark: Math.min(...active.map((input) => input.watermark)), status: 'active' }
  const idle = all.filter((input) => input.status === 'idle')
  if (idle.length > 0) return { watermark: Math.max(...idle.map((input) => input.watermark)), status: 'idle' }
  return { watermark: Number.POSITIVE_INFINITY, status: 'ended' }
}
