// Every request of the page other than the stream of statuses. Addresses are relative, so the page works below any path.
import type { DeadLetterGroup, DeadLetterView, DiscardAnswer, ErrorAnswer, RetryAnswer, RetryRequest, TailRecord } from 'millrace/api'
import type { TablePage } from '@millrace/core/engine'
import { decodeStatus } from './decode.ts'
import { authorization } from './token.ts'

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

/** @throws {RequestError} when the server refuses; what `fetch` throws when there is no server. */
export async function send(
  address: string,
  options: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> },
): Promise<Response> {
  const response = await fetch(address, { cache: 'no-store', ...options, headers: { ...options.headers, ...authorization() } })
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
  /** Field to order by; null: the key. The order decides which rows the limit keeps. */
  readonly by: string | null
  readonly descending: boolean
  readonly limit: number
}

/** `GET /tables/NAME`. */
export function tableAddress(request: TableRequest): string {
  const query = new URLSearchParams({ limit: String(request.limit), descending: String(request.descending) })
  for (const value of request.prefix) query.append('prefix', value)
  if (request.by !== null) query.set('by', request.by)
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
  /** Ids are offsets: the newest open letter of the group. */
  readonly newest: number
  /** Open letters in the group. */
  readonly count: number
}

/** Letters shown of one cause; the command line shows all. */
export const LETTERS_MAX = 50
/** The server lists the oldest first, so the newest are looked for in this many offsets before the newest one. */
const LETTERS_LOOK_BACK = 1000

/** The newest letters of a cause that are still open, newest first, then the newest of those that were sent back in or discarded. */
export async function getDeadLetters(request: LettersRequest, signal: AbortSignal): Promise<readonly DeadLetterView[]> {
  const { newest, count } = request
  const near = await listLetters(request, Math.max(0, newest - LETTERS_LOOK_BACK), signal)
  const open = near.filter((letter) => letter.state === 'open').length
  const letters = open >= Math.min(count, LETTERS_MAX) || newest <= LETTERS_LOOK_BACK ? near : await listLetters(request, 0, signal)
  return letters.toSorted((a, b) => Number(a.state !== 'open') - Number(b.state !== 'open') || b.id - a.id).slice(0, LETTERS_MAX)
}

async function listLetters(request: LettersRequest, from: number, signal: AbortSignal): Promise<readonly DeadLetterView[]> {
  const { pipeline, code, operator } = request
  const query = new URLSearchParams({ code, operator, from: String(from), limit: String(LETTERS_LOOK_BACK) })
  const text = await getText(`api/dead-letters/${encodeURIComponent(pipeline)}?${query.toString()}`, signal)
  return JSON.parse(text) as readonly DeadLetterView[]
}

/** Sends letters back into the operators that refused them. Resolves to how many were moved, and why others were not. */
export async function retryDeadLetters(pipeline: string, request: RetryRequest): Promise<RetryAnswer> {
  return (await (await postLetters(pipeline, 'retry', request)).json()) as RetryAnswer
}

/** Closes letters that nobody wants back. */
export async function discardDeadLetters(pipeline: string, request: RetryRequest): Promise<DiscardAnswer> {
  return (await (await postLetters(pipeline, 'discard', request)).json()) as DiscardAnswer
}

function postLetters(pipeline: string, action: 'retry' | 'discard', request: RetryRequest): Promise<Response> {
  return send(`api/dead-letters/${encodeURIComponent(pipeline)}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  })
}
