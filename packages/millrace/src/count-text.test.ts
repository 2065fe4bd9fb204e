// Counts as people read them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countText } from './count-text.ts'

test('thousands are told apart', () => {
  assert.deepEqual([0, 7, 999, 1000, 1_218_159].map(countText), ['0', '7', '999', '1,000', '1,218,159'])
})
