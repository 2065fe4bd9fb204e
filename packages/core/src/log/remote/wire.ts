// What the owner of a log and a worker thread say to each other over a message port, and how errors travel.
// Record bytes are copied once into a buffer that is transferred, never cloned; everything else is small.
import { ERRORS, type ErrorCode, type ErrorDetails, isMillraceError, MillraceError } from '../../base/errors.ts'
import type { Extent } from '../embedded/extent.ts'
import type { AppendOptions, AppendResult, CommitResult, FetchOptions, FetchPosition, Topic, TopicSettings } from '../log.ts'

/** Batches of an append or a commit: one buffer with all of them, one behind the other. */
export interface WireParts {
  readonly buffer: ArrayBuffer
  readonly places: readonly { readonly topic: string; readonly partition: number; readonly length: number }[]
}

/** A topic and its first row in the table of ends. */
export interface WireTopic {
  readonly topic: Topic
  readonly row: number
}

/** Calls that are answered, by name. Writers and members carry numbers that the remote side gives out. */
export interface Calls {
  readonly createTopic: { readonly args: readonly [name: string, settings: Partial<TopicSettings>]; readonly result: Topic }
  readonly alterTopic: { readonly args: readonly [name: string, settings: Partial<TopicSettings>]; readonly result: Topic }
  readonly deleteTopic: { readonly args: readonly [name: string]; readonly result: void }
  readonly append: { readonly args: readonly [parts: WireParts, options: AppendOptions]; readonly result: AppendResult }
  readonly allocateProducerId: { readonly args: readonly []; readonly result: number }
  readonly openWriter: { readonly args: readonly [writer: number, name: string]; readonly result: number }
  readonly commit: { readonly args: readonly [writer: number, parts: WireParts]; readonly result: CommitResult }
  readonly closeWriter: { readonly args: readonly [writer: number]; readonly result: void }
  readonly offsetForTime: {
    readonly args: readonly [topic: string, partition: number, timeMs: number, by: 'event' | 'append']
    readonly result: number
  }
  readonly trim: { readonly args: readonly [topic: string, partition: number, offset: number]; readonly result: void }
  readonly skipCorrupt: { readonly args: readonly [topic: string, partition: number, offset: number]; readonly result: number }
  readonly join: { readonly args: readonly [member: number, domain: string, groups: number]; readonly result: void }
  readonly leave: { readonly args: readonly [member: number]; readonly result: void }
  /** Topics and ends as they are now. */
  readonly refresh: { readonly args: readonly []; readonly result: void }
  /** Settles when everything that this side has asked for is answered. */
  readonly close: { readonly args: readonly []; readonly result: void }
}

export type CallName = keyof Calls

export type ToOwner =
  | { readonly kind: 'call'; readonly id: number; readonly name: CallName; readonly args: readonly unknown[] }
  | {
      readonly kind: 'fetch'
      readonly id: number
      readonly reader: number
      readonly positions: readonly FetchPosition[]
      readonly options: FetchOptions
      /** True: an extent may be answered instead of bytes. Only with one position. */
      readonly direct: boolean
      /** The buffer of the reader's last answer, to be filled again. */
      readonly buffer: ArrayBuffer | null
    }
  | { readonly kind: 'closeReader'; readonly reader: number }
  | { readonly kind: 'watch' | 'unwatch'; readonly topic: string }
  | { readonly kind: 'assigned'; readonly turn: number; readonly error: WireError | null }

/** One partition of a fetch, in the order of the positions. */
export interface WireFetched {
  readonly length: number
  readonly next: number
  readonly end: number
  readonly error: WireError | null
}

export type ToRemote =
  | { readonly kind: 'hello'; readonly ends: SharedArrayBuffer; readonly topics: readonly WireTopic[] }
  | { readonly kind: 'topics'; readonly topics: readonly WireTopic[] }
  | { readonly kind: 'appended'; readonly topics: readonly string[] }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'fetched'; readonly id: number; readonly buffer: ArrayBuffer; readonly parts: readonly WireFetched[] }
  | { readonly kind: 'extent'; readonly id: number; readonly extent: Extent; readonly buffer: ArrayBuffer | null }
  | { readonly kind: 'assign'; readonly member: number; readonly turn: number; readonly groups: readonly number[] }

/** What a fetch is answered with. */
export type FetchAnswer = Extract<ToRemote, { kind: 'fetched' | 'extent' }>

/** An error as plain data: class, brand and prototype do not survive a port. */
export interface WireError {
  /** Null: no MillraceError. */
  readonly code: ErrorCode | null
  readonly name: string
  readonly message: string
  readonly fix: string
  readonly details: ErrorDetails
  readonly stack: string
  readonly cause: WireError | null
}

/** Causes of causes beyond this are left out: a chain may be a circle. */
const CAUSES_MAX = 8

export function errorToWire(error: unknown, depth = 0): WireError {
  const isError = error instanceof Error
  const cause = isError && error.cause !== undefined && depth < CAUSES_MAX ? errorToWire(error.cause, depth + 1) : null
  const known = isMillraceError(error)
  return {
    code: known ? error.code : null,
    name: isError ? error.name : 'Error',
    message: isError ? error.message : String(error),
    fix: known ? error.fix : '',
    details: known ? error.details : {},
    stack: isError ? (error.stack ?? '') : '',
    cause,
  }
}

/** The same error on this side: code, kind, message, fix, details, cause and the stack of the other side. */
export function errorFromWire(wire: WireError): Error {
  const cause = wire.cause === null ? {} : { cause: errorFromWire(wire.cause) }
  const error: { -readonly [Key in keyof Error]: Error[Key] } =
    wire.code === null || !Object.hasOwn(ERRORS, wire.code)
      ? new Error(wire.message, cause)
      : new MillraceError(wire.code, { details: wire.details, fix: wire.fix, ...cause })
  // The constructor would write the details behind the message a second time.
  error.message = wire.message
  if (wire.code === null) error.name = wire.name
  error.stack = wire.stack
  return error
}
