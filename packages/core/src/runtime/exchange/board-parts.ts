// The graph of a pipeline's tasks, as the progress board wants it.
import type { Topology } from '../../compile/topology.ts'
import { progressTopic } from '../topic-names.ts'
import type { BoardPart } from './progress-board.ts'

export function boardParts(topology: Topology): readonly BoardPart[] {
  return topology.parts.map((part) => ({
    name: part.name,
    groups: part.groups,
    progressTopic: progressTopic(topology.pipeline, part.name),
    exchanges: part.inputs.flatMap((input) => (input.kind === 'exchange' ? [input.topic] : [])),
    producers: [...new Set(part.inputs.flatMap((input) => (input.kind === 'exchange' ? [input.producer] : [])))],
    readers: topology.parts
      .filter((other) => other.inputs.some((input) => input.kind === 'exchange' && input.producer === part.name))
      .map((other) => other.name),
  }))
}
