// The order to build the state of a pipeline again: one record on the changelog of every task, all appended in one step before a task runs. A
// task whose newest commit lies before the order begins with empty state; the commit behind it has done the order. So a crash in the middle of
// a rebuild leaves no task that goes on with the state of before beside others that began anew.
import { MillraceError } from '../../base/errors.ts'
import type { CommitState } from './commit-state.ts'

/** Value of the changelog record REBUILD_KEY. */
export interface RebuildOrder {
  readonly v: 1
  readonly codeVersion: string
  /** The newest tick that any task of the pipeline had stated. What is in an exchange of this tick or an older one comes again. */
  readonly tick: number
  /** Running numbers that the task had reached, per output: its own newest commit may be what is damaged. */
  readonly reached: CommitState['running']
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeRebuildOrder(order: RebuildOrder): Uint8Array {
  return encoder.encode(JSON.stringify(order))
}

export function decodeRebuildOrder(bytes: Uint8Array, start: number, end: number): RebuildOrder {
  const order = JSON.parse(decoder.decode(bytes.subarray(start, end))) as RebuildOrder
  if (order.v !== 1)
    throw new MillraceError('MR_LOG_FORMAT_NEWER', {
      message: 'an order to build state again has an unknown version.',
      details: { version: order.v },
    })
  return order
}
