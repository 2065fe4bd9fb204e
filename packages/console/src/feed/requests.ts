// Every request of the page other than the stream of statuses. Addresses are relative, so the page works below any path.
import type { DeadLetterGroup, DeadLetterView, ErrorAnswer, RetryAnswer, RetryRequest, TailRecord } from 'millrace/api'
import type { TablePage } from '@millrace/core/engine'
import { decodeStatus } from './decode.ts'

/** A refusal of the server in its own words, with what to do. */
export class RequestError extends Error {
  readonly code: string
  readonly fix: string

  constructor(code: string, message: string, fix: string) {
    super(message)
    this.code = code
    this.fix = fix
  }
}

async function refusal(response: Response): Promise<RequestError> {
  const text = await response.text()
  try {
    const { error } = JSON.parse(text) as ErrorAnswer
    return new RequestError(error.code, error.message, error.fix)
  } catch {
    return new RequestError(
      `HTTP_${response.status}`,
      `The server answered ${response.status} ${response.statusText}.`,
      'See the log of the server.',
    )
  }
}

async function send(address: string, options: RequestInit): Promise<Response> {
  const response = await fetch(address, { cache: 'no-store', ...options })
  if (!response.ok) throw await refusal(response)
  return response
}

export async function getText(address: string, signal?: AbortSignal): Promise<string> {
  return (await send(address, signal === undefined ? {} : { signal })).text()
}

export interface TableRequest {
  readonly table: string
  /** Values of the first fields of the key. */
  readonly prefix: readonly string[]
  /** Bounds of the key field behind the prefix; empty: none. */
  readonly from: string
  readonly to: string
  readonly limit: number
}

/** `GET /tables/NAME`, by key backwards, so that a key that holds a time gives its newest rows. */
export function tableAddress(request: TableRequest): string {
  const query = new URLSearchParams({ limit: String(request.limit), descending: 'true' })
  for (const value of request.prefix) query.append('prefix', value)
  if (request.from !== '') query.set('from', request.from)
  if (request.to !== '') query.set('to', request.to)
  return `tables/${encodeURIComponent(request.table)}?${query.toString()}`
}

export async function getTable(request: TableRequest, signal: AbortSignal): Promise<TablePage> {
  return decodeStatus<TablePage>(await getText(tableAddress(request), signal))
}

export interface TailRequest {
  readonly topic: string
  readonly partition: number
  readonly from: number | 'latest'
  readonly limit: number
  readonly waitMs: number
}

export interface TailAnswer {
  readonly records: readonly TailRecord[]
  /** Offset behind the last record that was read: where to go on. */
  readonly next: number | null
}

export async function getTail(request: TailRequest, signal: AbortSignal): Promise<TailAnswer> {
  const { topic, partition, from, limit, waitMs } = request
  const query = new URLSearchParams({ partition: String(partition), from: String(from), limit: String(limit), waitMs: String(waitMs) })
  const address = `topics/${encodeURIComponent(topic)}?${query.toString()}`
  const response = await send(address, { signal, headers: { accept: 'application/x-ndjson' } })
  const text = await response.text()
  const records = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TailRecord)
  const stated = response.headers.get('millrace-next-offset')
  const last = records.at(-1)
  return { records, next: stated !== null ? Number(stated) : last === undefined ? null : last.offset + 1 }
}

export async function getDeadLetterGroups(pipeline: string, signal: AbortSignal): Promise<readonly DeadLetterGroup[]> {
  const text = await getText(`api/dead-letters?${new URLSearchParams({ pipeline }).toString()}`, signal)
  return JSON.parse(text) as readonly DeadLetterGroup[]
}

export interface LettersRequest {
  readonly pipeline: string
  readonly code: string
  readonly operator: string
  readonly limit: number
}

export async function getDeadLetters(request: LettersRequest, signal: AbortSignal): Promise<readonly DeadLetterView[]> {
  const { pipeline, code, operator, limit } = request
  const query = new URLSearchParams({ code, operator, limit: String(limit) })
  const text = await getText(`api/dead-letters/${encodeURIComponent(pipeline)}?${query.toString()}`, signal)
  return JSON.parse(text) as readonly DeadLetterView[]
}

/** Sends letters back into the operators that refused them. Resolves to how many were moved. */
export async function retryDeadLetters(pipeline: string, request: RetryRequest): Promise<number> {
  const response = await send(`api/dead-letters/${encodeURIComponent(pipeline)}/retry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  })
  return ((await response.json()) as RetryAnswer).moved
}
