// What the nodes and edges of the picture read. The picture itself holds only places, so that new figures never lay it out again.
import { createContext, useContext } from 'react'
import type { Flow } from '../model/flow.ts'

export interface PlanContextValue {
  readonly flow: Flow
  readonly nowMs: number
  readonly selected: number | null
  readonly select: (id: number | null) => void
}

export const PlanContext = createContext<PlanContextValue | null>(null)

export function usePlan(): PlanContextValue | null {
  return useContext(PlanContext)
}
