import { ReactFlow, type Edge, type Node, type ReactFlowInstance } from '@xyflow/react'
import { useEffect, useMemo, useState } from 'react'
import type { PipelineStatus } from '@millrace/core/engine'
import type { PlanLayout } from '../model/layout.ts'
import { chooseLayout, fitInto, NODE_SIZE, structureOf } from '../model/layout.ts'
import { useWidth } from './hooks.ts'
import { PlanEdge } from './plan-edge.tsx'
import { PlanNode } from './plan-node.tsx'

const NODE_TYPES = { plan: PlanNode }
const EDGE_TYPES = { plan: PlanEdge }
const PADDING = 14

function nodesOf(layout: PlanLayout): Node[] {
  return layout.nodes.map(({ id, x, y }) => ({
    id: String(id),
    type: 'plan',
    position: { x, y },
    ...NODE_SIZE[layout.direction],
    data: { direction: layout.direction },
  }))
}

function edgesOf(layout: PlanLayout): Edge[] {
  return layout.edges.map(({ id, from, to, x, y }) => ({
    id,
    source: String(from),
    target: String(to),
    type: 'plan',
    data: { x, y, direction: layout.direction },
  }))
}

/** The plan as a picture that fills the width of its place; its height follows. Only a new structure or a new width lays it out again. */
export function Topology({ pipeline }: { readonly pipeline: PipelineStatus }): React.ReactNode {
  const [ref, width] = useWidth<HTMLDivElement>()
  const [instance, setInstance] = useState<ReactFlowInstance | null>(null)
  const structure = structureOf(pipeline.nodes)
  // The structure stands for the nodes: their figures change every second, their places do not.
  const layout = useMemo(() => chooseLayout(pipeline.nodes, Math.max(1, width), PADDING), [structure, width])
  const [nodes, edges] = useMemo(() => [nodesOf(layout), edgesOf(layout)], [layout])
  const fit = fitInto(layout, width, PADDING)
  useEffect(() => {
    void instance?.setViewport({ x: fit.x, y: PADDING, zoom: fit.zoom })
  }, [instance, fit.x, fit.zoom])
  return (
    <div ref={ref} className="topology">
      {width > 0 && (
        <div style={{ width: fit.width, height: fit.height }}>
          <ReactFlow
            nodes={nodes}
            edges={edges}
            nodeTypes={NODE_TYPES}
            edgeTypes={EDGE_TYPES}
            defaultViewport={{ x: fit.x, y: PADDING, zoom: fit.zoom }}
            minZoom={0.2}
            maxZoom={2}
            nodesDraggable={false}
            nodesConnectable={false}
            nodesFocusable={false}
            edgesFocusable={false}
            elementsSelectable={false}
            panOnDrag={false}
            zoomOnScroll={false}
            zoomOnDoubleClick={false}
            zoomOnPinch={false}
            preventScrolling={false}
            onInit={setInstance}
            aria-label={`Plan of ${pipeline.pipeline}`}
          />
        </div>
      )}
    </div>
  )
}
