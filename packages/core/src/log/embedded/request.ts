// What the log is asked to take in at once, and what it answers.
import type { LogPart } from '../log.ts'

export interface Request {
  readonly parts: readonly LogPart[]
  /** Null for appends by outsiders, which the disk reserve keeps out. */
  readonly writer: { readonly name: string; readonly epoch: number } | null
  readonly requestKey: string | null
  /** Resolve when accepted instead of when durable. */
  readonly early: boolean
  /** Flush behind the microtasks that wait now instead of in another turn. */
  readonly gathered: boolean
}

export interface Accepted {
  readonly firstOffsets: readonly number[]
  readonly repeated: boolean
}
