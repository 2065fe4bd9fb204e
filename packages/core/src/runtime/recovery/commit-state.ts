// What a task commits beside its rows of state: where it has read to and its clocks. One JSON record on the task's changelog per commit,
// under a key of its own; after a restart the newest one is where the task goes on.
import type { PartitionClockState, PartitionStatus } from '../../time/partition-clock.ts'
import type { ExchangePosition } from '../exchange/exchange-input.ts'
import { MillraceError } from '../../base/errors.ts'

/** Position in a source partition: {log, topic id, partition, next offset, done ranges} of design; one log and no done ranges in this version. */
export interface SourcePosition {
  readonly log: 'home'
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly next: number
  readonly done: readonly (readonly [number, number])[]
  readonly clock: PartitionClockState
}

export interface CommitState {
  readonly v: 1
  /** Newest tick applied and stated as complete. */
  readonly through: number
  readonly watermarkMs: number
  readonly status: PartitionStatus
  readonly wallMs: number
  readonly sources: readonly SourcePosition[]
  /** Per exchange input, by topic. */
  readonly exchanges: readonly { readonly topic: string; readonly positions: readonly ExchangePosition[] }[]
  /** Topics of the outputs that are exchanges, null for others, and of exchanges that an edit took away; not in states that are older than direct sinks. */
  readonly outputs?: readonly (string | null)[]
  /** Running numbers reached, per output. */
  readonly running: readonly (readonly number[])[]
  /** Next offset of the retry partition. */
  readonly retryNext: number
  /** Newest committed intent of the sink, base64; null when there is none. */
  readonly intent: string | null
  /** Running number of rows handed to the sink. */
  readonly sinkSequence: number
  readonly codeVersion: string
  /** The last tick before state was built again: dead letters up to it were read again from the source. Left out when it never was. */
  readonly rebuiltTick?: number
}

export const EMPTY_STATE: CommitState = {
  v: 1,
  through: 0,
  watermarkMs: Number.NEGATIVE_INFINITY,
  status: 'active',
  wallMs: 0,
  sources: [],
  exchanges: [],
  running: [],
  retryNext: 0,
  intent: null,
  sinkSequence: 0,
  codeVersion: '',
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

// JSON has no infinities; they are the first and last watermarks.
function replace(_key: string, value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY) return '+inf'
  if (value === Number.NEGATIVE_INFINITY) return '-inf'
  return value
}

function revive(_key: string, value: unknown): unknown {
  if (value === '+inf') return Number.POSITIVE_INFINITY
  if (value === '-inf') return Number.NEGATIVE_INFINITY
  return value
}

export function encodeCommitState(state: CommitState): Uint8Array {
  return encoder.encode(JSON.stringify(state, replace))
}

export function decodeCommitState(bytes: Uint8Array): CommitState {
  const state = JSON.parse(decoder.decode(bytes), revive) as CommitState
  if (state.v !== 1)
    throw new MillraceError('MR_LOG_FORMAT_NEWER', {
      message: "a task's commit record has an unknown version.",
      details: { version: state.v },
    })
  return state
}
