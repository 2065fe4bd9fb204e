import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { NodeStatus } from '@millrace/core/engine'
import { SAMPLE_NODES } from '../../dev/sample-plan.ts'
import { chooseLayout, fitInto, layOut, NODE_SIZE, READABLE_ZOOM, structureOf, ZOOM_MIN } from './layout.ts'

const NO_ROWS = { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 }

function node(id: number, inputs: readonly number[], part: string): NodeStatus {
  return {
    id,
    name: `node ${id}`,
    kind: inputs.length === 0 ? 'source' : 'map',
    inputs,
    part,
    mode: 'append',
    place: null,
    target: null,
    counters: NO_ROWS,
  }
}

/** Plans: each node reads some of those before it. */
const plans = fc
  .array(fc.record({ reads: fc.array(fc.nat(), { maxLength: 3 }), part: fc.constantFrom('a', 'b', '') }), { minLength: 1, maxLength: 14 })
  .map((drafts) => drafts.map(({ reads, part }, id) => node(id, id === 0 ? [] : [...new Set(reads.map((read) => read % id))], part)))

const sample = SAMPLE_NODES.map((each, id): NodeStatus => ({ id, mode: 'append', counters: NO_ROWS, ...each }))

describe('layout', () => {
  test('no node lies on another or outside, and every edge has a place for its label', () => {
    fc.assert(
      fc.property(plans, fc.constantFrom('right' as const, 'down' as const), (nodes, direction) => {
        const plan = layOut(nodes, direction)
        const { width, height } = NODE_SIZE[direction]
        for (const a of plan.nodes) {
          assert.ok(a.x >= 0 && a.y >= 0 && a.x + width <= plan.width + 1 && a.y + height <= plan.height + 1)
          for (const b of plan.nodes) {
            if (a.id < b.id) assert.ok(Math.abs(a.x - b.x) >= width || Math.abs(a.y - b.y) >= height, `${a.id} lies on ${b.id}`)
          }
        }
        assert.equal(
          plan.edges.length,
          nodes.reduce((sum, each) => sum + each.inputs.length, 0),
        )
        for (const edge of plan.edges) assert.ok(edge.x > 0 && edge.x < plan.width && edge.y > 0 && edge.y < plan.height)
      }),
      { numRuns: 60 },
    )
  })

  test('new figures change neither the structure nor, by that, the picture', () => {
    const busy = sample.map((each) => ({ ...each, counters: { ...NO_ROWS, rowsIn: 99 }, name: `${each.name}!` }))
    assert.equal(structureOf(busy), structureOf(sample))
    assert.notEqual(structureOf(sample.slice(1)), structureOf(sample))
  })

  test('runs to the right on a wide page and downwards on a narrow one, always inside the width or scrolling', () => {
    assert.equal(chooseLayout(sample, 1400, 14).direction, 'right')
    assert.equal(chooseLayout(sample, 370, 14).direction, 'down')
    fc.assert(
      fc.property(plans, fc.integer({ min: 200, max: 2400 }), (nodes, width) => {
        const plan = chooseLayout(nodes, width, 14)
        const fit = fitInto(plan, width, 14)
        assert.ok(fit.zoom <= 1 && fit.zoom >= ZOOM_MIN)
        assert.ok(plan.direction === 'down' || fit.zoom >= READABLE_ZOOM)
        assert.ok(plan.width * fit.zoom <= fit.width)
        assert.ok(fit.zoom === ZOOM_MIN || fit.width === width)
      }),
      { numRuns: 40 },
    )
  })
})
