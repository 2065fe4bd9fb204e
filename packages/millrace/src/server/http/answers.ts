// Answers: JSON values and errors, with the status that tells a client what to do.
import type { ServerResponse } from 'node:http'
import { type ErrorCode, type ErrorKind, isMillraceError, MillraceError } from '@millrace/core/engine'
import { encodeJson } from '../../json.ts'

export type Headers = Readonly<Record<string, string | number>>

const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  transient: 503,
  fenced: 409,
  data: 400,
  closed: 503,
  internal: 500,
}

const STATUS_OF_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  MR_HTTP_ROUTE_UNKNOWN: 404,
  MR_HTTP_METHOD: 405,
  MR_HTTP_BODY_TOO_LARGE: 413,
  MR_LOG_BATCH_TOO_LARGE: 413,
  MR_CODEC_TOO_LARGE: 413,
  MR_CODEC_UNSUPPORTED: 415,
  MR_HTTP_KEY_REUSED: 409,
  MR_HTTP_BUSY: 429,
  MR_HTTP_HOST_REFUSED: 403,
  MR_HTTP_ORIGIN_REFUSED: 403,
  MR_HTTP_TOKEN: 401,
  MR_TOPIC_RESERVED: 403,
  MR_TOPIC_UNKNOWN: 404,
  MR_PARTITION_UNKNOWN: 404,
  MR_TOPIC_EXISTS: 409,
  MR_RUNTIME_TABLE_UNKNOWN: 404,
  MR_SERVER_PIPELINE_UNKNOWN: 404,
  MR_REPLAY_UNKNOWN: 404,
  MR_REPLAY_RUNNING: 409,
  MR_REPLAY_NO_BINDINGS: 409,
  MR_DISK_FULL: 507,
  // Damage of what is kept here: `data` of the client is 400.
  MR_LOG_CORRUPT: 500,
  MR_LOG_QUARANTINED: 500,
  MR_CODEC_BATCH_CORRUPT: 500,
  MR_RUNTIME_STATE_DAMAGED: 500,
  MR_STATE_SNAPSHOT_CORRUPT: 500,
  MR_STATE_CHANGELOG_CORRUPT: 500,
}

/** Seconds after which a client may try again what was refused for want of room. */
const RETRY_AFTER_S = 1

/** HTTP status of an error. */
export function statusOf(error: MillraceError): number {
  if (error.code === 'MR_LOG_FULL') return isDisk(error) ? 507 : 429
  return STATUS_OF_CODE[error.code] ?? STATUS_OF_KIND[error.kind]
}

function isDisk(error: MillraceError): boolean {
  return 'free' in error.details || (isMillraceError(error.cause) && error.cause.code === 'MR_DISK_FULL')
}

/** Any thrown value as a MillraceError: what is not one is a bug of the server. */
export function errorOf(error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  return new MillraceError('MR_RUNTIME_TASK_FAILED', {
    message: `the server failed: ${error instanceof Error ? error.message : String(error)}`,
    fix: 'This is a bug of millrace: please report it with the lines around it in the log.',
    cause: error,
  })
}

export function sendText(response: ServerResponse, status: number, type: string, text: string | Uint8Array, headers: Headers = {}): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(text)
}

export function sendJson(response: ServerResponse, status: number, value: unknown, headers: Headers = {}): void {
  sendText(response, status, 'application/json', encodeJson(value), { 'cache-control': 'no-store', ...headers })
}

/** An error with more than its message: lines that were refused. */
export class LinesError extends MillraceError {
  readonly lines: readonly BadLine[]

  constructor(lines: readonly BadLine[], details: MillraceError['details'], message: string) {
    super('MR_HTTP_EVENTS_REFUSED', { message, details })
    this.lines = lines
  }
}

/** Why an event of a batch was refused. Lines count from 1: of the body for NDJSON and CSV, else the event's place in the array. */
export interface BadLine {
  readonly line: number
  readonly field: string | null
  readonly code: ErrorCode
  readonly message: string
}

/** Answers with an ErrorAnswer. */
export function sendError(response: ServerResponse, thrown: unknown): void {
  const error = errorOf(thrown)
  const status = statusOf(error)
  const { code, message, fix, details } = error
  const lines = error instanceof LinesError ? { lines: error.lines } : {}
  const headers: Record<string, string | number> = {}
  if (status === 429 || status === 503 || status === 507) headers['retry-after'] = RETRY_AFTER_S
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  if (status === 405 && typeof details['allowed'] === 'string') headers['allow'] = details['allowed']
  sendJson(response, status, { error: { code, message, fix, details, ...lines } }, headers)
}
