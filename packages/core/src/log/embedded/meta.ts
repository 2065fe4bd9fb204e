// Metadata records: every change of the log that is not a batch. They stand in a journal entry as one JSON array and are applied in order,
// in the live log and in recovery by the same function (LogState.apply).
import type { TopicSettings } from '../log.ts'
import type { Damage } from './partition.ts'

export type MetaRecord =
  | { readonly t: 'topic'; readonly name: string; readonly id: string; readonly settings: TopicSettings; readonly firstPartition: number }
  | { readonly t: 'alter'; readonly name: string; readonly settings: TopicSettings }
  | { readonly t: 'delete'; readonly name: string }
  | { readonly t: 'writer'; readonly name: string; readonly epoch: number }
  | { readonly t: 'producer'; readonly next: number }
  /** Everything below `start` is gone; `bytes` is what is left. */
  | { readonly t: 'trim'; readonly partition: number; readonly start: number; readonly bytes: number }
  /** The reader may go on behind the damage. */
  | { readonly t: 'skip'; readonly partition: number; readonly damage: Damage }
  /** Bytes kept after a compaction. */
  | { readonly t: 'compact'; readonly partition: number; readonly bytes: number }

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const NONE = new Uint8Array(0)

export function encodeMeta(records: readonly MetaRecord[]): Uint8Array {
  return records.length === 0 ? NONE : encoder.encode(JSON.stringify(records))
}

/** The entry's CRC has been checked, so the JSON is what was written. */
export function decodeMeta(bytes: Uint8Array): readonly MetaRecord[] {
  return bytes.length === 0 ? [] : (JSON.parse(decoder.decode(bytes)) as readonly MetaRecord[])
}
