// Laws of plans, over random pipelines.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { describePlan } from '../plan/describe.ts'
import { diffPlans, type PlanChange } from '../plan/diff.ts'
import { codeVersion } from '../plan/hash.ts'
import { neededFields } from '../plan/rewrite.ts'
import { parseStoredPlan, serializePlan, type StoredPlan } from '../plan/serialize.ts'
import { fieldsOfShape } from '../plan/shape.ts'
import { build, steps } from './arbitrary-pipeline.fixture.ts'

const STATES = new Set(['aggregate', 'dedupe', 'scan', 'to-table', 'stream-table-join'])
const states = (plan: StoredPlan): string[] => plan.nodes.filter((node) => STATES.has(node.kind)).map((node) => node.name)
const named = (changes: readonly PlanChange[], ...kinds: readonly string[]): string[] =>
  changes.filter((change) => kinds.includes(change.kind)).map((change) => change.name)

test('nodes are in topological order, names are unique, everything leads to an output', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const { nodes } = build(list).plan
      const read = new Set(nodes.flatMap((node) => node.inputs))
      assert.equal(new Set(nodes.map((node) => node.name)).size, nodes.length)
      for (const [index, node] of nodes.entries()) {
        assert.equal(node.id, index)
        assert.ok(Object.isFrozen(node) && Object.isFrozen(node.inputs))
        for (const input of node.inputs) assert.ok(input < index)
        assert.ok(read.has(index) || node.kind.startsWith('to-'), node.name)
      }
    }),
  )
})

test('the same source gives the same plan, hash and text, and JSON keeps the stored form whole', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const [one, two] = [build(list).plan, build(list).plan]
      assert.equal(codeVersion(one), codeVersion(two))
      assert.equal(describePlan(one), describePlan(two))
      assert.deepEqual(parseStoredPlan(JSON.stringify(serializePlan(one))), serializePlan(two))
    }),
  )
})

test('a derived name depends on nothing that comes after it', () => {
  fc.assert(
    fc.property(steps, fc.nat(14), (list, cut) => {
      const prefix = list.slice(0, cut)
      const names = new Set(build([...prefix, ...list.slice(cut)]).plan.nodes.map((node) => node.name))
      for (const node of build(prefix).plan.nodes) assert.ok(names.has(node.name), node.name)
    }),
  )
})

test('an unchanged plan keeps every state and changes nothing', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const plan = serializePlan(build(list).plan)
      const changes = diffPlans(plan, parseStoredPlan(JSON.stringify(plan)))
      assert.deepEqual(named(changes, 'state-kept'), states(plan))
      assert.equal(changes.length, states(plan).length)
    }),
  )
})

test('every state before and after an edit is accounted for, once', () => {
  fc.assert(
    fc.property(steps, steps, (a, b) => {
      const [before, after] = [serializePlan(build(a).plan), serializePlan(build([...a.slice(0, 5), ...b]).plan)]
      const changes = diffPlans(before, after)
      assert.deepEqual(named(changes, 'state-kept', 'state-rebuilt', 'state-new').sort(), states(after).sort())
      const gone = states(before).filter((name) => !states(after).includes(name))
      assert.deepEqual(named(changes, 'state-lost').sort(), gone.sort())
    }),
  )
})

test('a renamed operator is lost and new, and the rename is suggested', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const [before, after] = [serializePlan(build(list).plan), serializePlan(build(list, (name) => `${name}-2`).plan)]
      const changes = diffPlans(before, after)
      for (const node of before.nodes) {
        const hand = /^(op|table\.table)\d+$/.test(node.name)
        if (!hand || !STATES.has(node.kind)) continue
        const lost = changes.find((change) => change.kind === 'state-lost' && change.name === node.name)
        const became = /Was it renamed to `([^`]+)`\? Then keep the old name/.exec(lost?.advice ?? '')?.[1]
        assert.equal(after.nodes.find((other) => other.name === became)?.kind, node.kind)
        assert.ok(!before.nodes.some((other) => other.name === became))
      }
    }),
  )
})

test('needed fields are fields, and lazily read rows never need more', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const { plan } = build(list)
      const [whole, lazy] = [neededFields(plan), neededFields(plan, { lambdas: 'none' })]
      for (const node of plan.nodes) {
        const fields = fieldsOfShape(node.shape)?.map((field) => field.name)
        const [w, l] = [whole.get(node.id), lazy.get(node.id)]
        assert.ok(w !== undefined && l !== undefined)
        if (l === 'all') assert.equal(w, 'all')
        else for (const name of l) assert.ok(fields?.includes(name) === true && (w === 'all' || w.has(name)), `${node.name}: ${name}`)
      }
    }),
  )
})
