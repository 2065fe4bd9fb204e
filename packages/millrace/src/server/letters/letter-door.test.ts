// What may go back in, as the stored plans tell it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetterHead } from '@millrace/core/engine'
import { whyNoEntry } from './letter-door.ts'
import type { StartedPlan } from '../pipelines/plan-store.ts'

const plan: StartedPlan = {
  codeVersion: 'a',
  atMs: 0,
  parts: ['hits'],
  plan: { pipeline: 'web', nodes: [] } as unknown as StartedPlan['plan'],
}

const head = {
  pipeline: 'web',
  part: 'hits',
  operator: 'groups',
  topic: 'hits',
  partition: 0,
  offset: 7,
  codeVersion: 'a',
} as unknown as DeadLetterHead

test('a row that was never handed on stays out in every version, and the reason says what to do', () => {
  assert.equal(whyNoEntry(head, [plan]), null)
  for (const codeVersion of ['a', 'b']) {
    const reason = whyNoEntry({ ...head, isUndelivered: true, codeVersion }, [plan]) ?? ''
    assert.match(
      reason,
      /not be handed on to `groups`: correct what makes the row, send what is missing of record 7 of `hits`\/0 .* discard the letter/,
    )
  }
})
