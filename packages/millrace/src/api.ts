// The admin API between the server and those who look at it: the page, and `millrace` on the command line. Types, and its JSON.
// Times are milliseconds; JSON has no infinities, so they are the strings '+inf' and '-inf' (see `encodeJson`, `decodeJson`).
import type { PipelineStatus, SourceStatus } from '@millrace/core/engine'

export { decodeJson, encodeJson } from './json.ts'

/** GET /health. */
export interface HealthAnswer {
  /** ok: everything works. degraded: events are taken, and something else does not work or is still restored. down: no events are taken. */
  readonly status: HealthStatus
  /** Process and data folder; null for those who may not read anything else, the folder also of a plant in memory. */
  readonly millrace: { readonly version: string; readonly pid: number | null; readonly folder: string | null }
  readonly parts: readonly HealthPart[]
}

export type HealthStatus = 'ok' | 'degraded' | 'down'

export interface HealthPart {
  readonly part: 'collector' | 'log' | 'pipeline' | 'source'
  /** Of a pipeline or source. */
  readonly name: string | null
  readonly status: HealthStatus
  /** Empty when it is ok. */
  readonly reasons: readonly HealthReason[]
}

export interface HealthReason {
  readonly code: string
  /** What the code means: nothing of anybody's data, since no token is asked for. */
  readonly message: string
  readonly fix: string
  /** Where: a task, or a partition of a topic. */
  readonly task?: string
  readonly topic?: string
  readonly partition?: number
}

/** GET /api/status, and every second as `data:` of the event stream GET /api/events. */
export interface PlantStatus {
  readonly version: string
  readonly nowMs: number
  readonly startedAtMs: number
  readonly folder: string | null
  readonly pipelines: readonly PipelineStatus[]
  /** What fills topics from elsewhere: where each stands and how far it is behind. */
  readonly sources: readonly SourceStatus[]
  readonly topics: readonly TopicStatus[]
  readonly memory: { readonly residentBytes: number; readonly heapBytes: number; readonly budgetBytes: number }
  readonly disk: { readonly freeBytes: number; readonly reserveBytes: number }
  /** Null: in memory. */
  readonly log: LogStatus | null
  /** Records per second over the last seconds, by topic (appended) and by node name (rows in). */
  readonly rates: { readonly topics: Readonly<Record<string, number>>; readonly nodes: Readonly<Record<string, number>> }
  /** Newest log lines that a user should see: pauses, restarts, failures, dead letters (one line per cause with its count). */
  readonly notices: readonly Notice[]
}

/** What the embedded log says of itself. */
export interface LogStatus {
  /** Checkpoint writes around the system's memory of files: `refused` where the file system does not take them (slower); null before the first. */
  readonly directWrites: 'taken' | 'refused' | null
  readonly journalHalfBytes: number
  /** Keys of requests (`Idempotency-Key`) that are remembered, and those that had to make room before their 24 hours. */
  readonly requestKeys: number
  readonly requestKeysForgotten: number
  /** Records that were put aside because the journal entry before them is damaged. */
  readonly quarantined: readonly {
    readonly topic: string
    readonly partition: number
    readonly from: number
    readonly to: number
    readonly file: string
    readonly position: number
  }[]
  /** Set when the log has failed: the process is about to end. */
  readonly error: { readonly code: string; readonly message: string; readonly fix: string } | null
}

export interface TopicStatus {
  readonly name: string
  readonly partitions: number
  readonly records: number
  readonly bytes: number
  readonly retentionMs: number | null
  readonly compacted: boolean
  readonly internal: boolean
}

/** PUT /api/topics/NAME. */
export interface TopicCreated extends TopicStatus {
  /** False: it existed. */
  readonly created: boolean
}

export interface Notice {
  readonly atMs: number
  readonly level: 'info' | 'warning' | 'error'
  readonly task: string
  readonly code: string | null
  readonly message: string
  readonly fix: string | null
  readonly count: number
}

/**
 * GET /topics/NAME?from=earliest|latest|OFFSET|TIME&partition=0&limit=100&waitMs=0 : NDJSON with Accept: application/x-ndjson, else JSON.
 * The header `millrace-next-offset` is the offset to go on from: behind the last record read, or, when there was none, where reading stopped
 * (for `latest`: the end).
 */
export interface TailRecord {
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly key: string | null
  /** Parsed JSON value when the bytes are JSON, else null and `bytes` is set. */
  readonly value: unknown
  /** Base64 of the bytes when they are not JSON. */
  readonly bytes: string | null
}

/** GET /api/dead-letters?pipeline=NAME : groups by cause. */
export interface DeadLetterGroup {
  readonly pipeline: string
  readonly code: string
  readonly operator: string
  readonly count: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly sample: DeadLetterView
}

/** GET /api/dead-letters/PIPELINE?code=&operator=&state=&from=OFFSET&limit= */
export interface DeadLetterView {
  /** Offset on the dead-letter topic: the letter's identity. */
  readonly id: number
  readonly code: string
  readonly operator: string
  readonly message: string
  readonly fix: string
  readonly place: string | null
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Event time; null: the record has none that could be read. */
  readonly timeMs: number | null
  readonly atMs: number
  readonly attempt: number
  /** The original bytes: text when valid UTF-8, else null and `base64` is set. */
  readonly text: string | null
  readonly base64: string | null
  /** retried: it was moved to the retry partition. discarded: nobody wants it back; it is kept until retention takes it. */
  readonly state: 'open' | 'retried' | 'discarded'
}

/** POST /api/dead-letters/PIPELINE/retry and /discard : { ids } or { code, operator }. Answers how many were moved, or discarded. */
export interface RetryRequest {
  readonly ids?: readonly number[]
  readonly code?: string
  readonly operator?: string
}

export interface RetryAnswer {
  /** Letters that are on their way back in. */
  readonly moved: number
  /** Letters that cannot enter, by reason. */
  readonly refused: readonly { readonly reason: string; readonly count: number }[]
}

export interface DiscardAnswer {
  /** Letters that are not shown as open any more. */
  readonly discarded: number
}

/** Every error answer of every endpoint. */
export interface ErrorAnswer {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly fix: string
    readonly details: Readonly<Record<string, string | number | boolean | null>>
    /** MR_HTTP_EVENTS_REFUSED: what is wrong with which event. */
    readonly lines?: readonly { readonly line: number; readonly field: string | null; readonly code: string; readonly message: string }[]
  }
}
