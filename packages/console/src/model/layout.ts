// Where the nodes of a plan stand. Depends on the plan's structure alone, so that new figures never move anything.
import { Graph, layout } from '@dagrejs/dagre'
import type { NodeStatus } from '@millrace/core/engine'

export type Direction = 'right' | 'down'

/** Downwards is for narrow pages: three nodes fit side by side. */
export const NODE_SIZE = { right: { width: 172, height: 62 }, down: { width: 128, height: 70 } } as const

export interface Placed {
  readonly id: number
  readonly x: number
  readonly y: number
}

export interface PlacedEdge {
  readonly id: string
  readonly from: number
  readonly to: number
  /** Centre of the label. */
  readonly x: number
  readonly y: number
}

export interface PlanLayout {
  readonly direction: Direction
  readonly width: number
  readonly height: number
  readonly nodes: readonly Placed[]
  readonly edges: readonly PlacedEdge[]
}

/** Room for the label of an edge: inside a task a rate, over a topic also lag and watermark. */
const LABEL = {
  right: { memory: { width: 56, height: 20 }, topic: { width: 84, height: 52 } },
  down: { memory: { width: 64, height: 20 }, topic: { width: 92, height: 52 } },
} as const

const GAPS = {
  right: { rankdir: 'LR', ranksep: 16, nodesep: 22, edgesep: 10, marginx: 1, marginy: 1 },
  down: { rankdir: 'TB', ranksep: 14, nodesep: 10, edgesep: 8, marginx: 1, marginy: 1 },
} as const

/** Two plans with the same signature get the same picture. */
export function structureOf(nodes: readonly NodeStatus[]): string {
  return nodes.map((node) => `${node.id}:${node.kind}:${node.part}:${node.inputs.join(',')}`).join(';')
}

function isWide(from: NodeStatus, to: NodeStatus): boolean {
  return from.kind === 'source' || from.kind === 'through' || (from.part !== to.part && from.part !== '' && to.part !== '')
}

export function layOut(nodes: readonly NodeStatus[], direction: Direction): PlanLayout {
  const graph = new Graph()
  const size = NODE_SIZE[direction]
  graph.setGraph({ ...GAPS[direction] })
  graph.setDefaultEdgeLabel(() => ({}))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  for (const node of nodes) graph.setNode(String(node.id), { ...size })
  const pairs: { readonly from: number; readonly to: number }[] = []
  for (const to of nodes) {
    for (const input of to.inputs) {
      const from = byId.get(input)
      if (from === undefined) continue
      pairs.push({ from: input, to: to.id })
      graph.setEdge(String(input), String(to.id), { ...LABEL[direction][isWide(from, to) ? 'topic' : 'memory'], labelpos: 'c' })
    }
  }
  layout(graph)
  const whole = graph.graph()
  return {
    direction,
    width: whole.width ?? 0,
    height: whole.height ?? 0,
    nodes: nodes.map((node) => {
      const placed = graph.node(String(node.id))
      return { id: node.id, x: (placed.x ?? 0) - size.width / 2, y: (placed.y ?? 0) - size.height / 2 }
    }),
    edges: pairs.map(({ from, to }) => {
      const label = graph.edge(String(from), String(to))
      return { id: `${from}-${to}`, from, to, x: label.x ?? 0, y: label.y ?? 0 }
    }),
  }
}

export interface Fit {
  readonly zoom: number
  readonly x: number
  /** Of the picture with its padding; wider than the room when it would be too small otherwise: it scrolls then. */
  readonly width: number
  readonly height: number
}

/** Below this a picture that runs to the right is better drawn downwards. */
export const READABLE_ZOOM = 0.72
/** Below this nothing can be read at all. */
export const ZOOM_MIN = 0.6

/** The largest picture that fits into the width, never above its natural size; its height follows. */
export function fitInto(plan: PlanLayout, room: number, padding: number): Fit {
  const zoom = Math.max(ZOOM_MIN, Math.min(1, (room - 2 * padding) / Math.max(1, plan.width)))
  const width = Math.max(room, Math.ceil(plan.width * zoom + 2 * padding))
  return { zoom, x: (width - plan.width * zoom) / 2, width, height: Math.ceil(plan.height * zoom + 2 * padding) }
}

/** To the right where it stays readable, else downwards. */
export function chooseLayout(nodes: readonly NodeStatus[], width: number, padding: number): PlanLayout {
  const right = layOut(nodes, 'right')
  return fitInto(right, width, padding).zoom >= READABLE_ZOOM ? right : layOut(nodes, 'down')
}
