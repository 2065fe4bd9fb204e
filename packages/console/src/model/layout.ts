// Where the nodes of a plan stand. Depends on the plan's structure alone, so that new figures never move anything.
import { Graph, layout } from '@dagrejs/dagre'
import type { NodeStatus } from '@millrace/core/engine'

export type Direction = 'right' | 'down'

export const NODE_WIDTH = 172
export const NODE_HEIGHT = 62

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
  right: { memory: { width: 52, height: 18 }, topic: { width: 92, height: 44 } },
  down: { memory: { width: 60, height: 14 }, topic: { width: 100, height: 40 } },
} as const

/** Two plans with the same signature get the same picture. */
export function structureOf(nodes: readonly NodeStatus[]): string {
  return nodes.map((node) => `${node.id}:${node.kind}:${node.part}:${node.inputs.join(',')}`).join(';')
}

function isWide(from: NodeStatus, to: NodeStatus): boolean {
  return from.kind === 'source' || from.kind === 'through' || from.part !== to.part
}

export function layOut(nodes: readonly NodeStatus[], direction: Direction): PlanLayout {
  const graph = new Graph()
  graph.setGraph({
    rankdir: direction === 'right' ? 'LR' : 'TB',
    ranksep: direction === 'right' ? 20 : 18,
    nodesep: 26,
    edgesep: 14,
    marginx: 2,
    marginy: 2,
  })
  graph.setDefaultEdgeLabel(() => ({}))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  for (const node of nodes) graph.setNode(String(node.id), { width: NODE_WIDTH, height: NODE_HEIGHT })
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
  const size = graph.graph()
  return {
    direction,
    width: size.width ?? 0,
    height: size.height ?? 0,
    nodes: nodes.map((node) => {
      const placed = graph.node(String(node.id))
      return { id: node.id, x: (placed.x ?? 0) - NODE_WIDTH / 2, y: (placed.y ?? 0) - NODE_HEIGHT / 2 }
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
