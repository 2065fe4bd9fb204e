// Delivers one batch: sends it until it is acknowledged, refused, or out of time. Whether an answer means "again" is decided here alone.
import { type Clock, type ErrorCode, isMillraceError, MillraceError, type Scheduler, sleep } from '@millrace/core/engine'
import type { ErrorAnswer } from '../api.ts'

const BACKOFF_MS_MIN = 50
const BACKOFF_MS_MAX = 5_000
/** An answer that takes longer is taken for lost. */
const ANSWER_MS = 30_000

export interface Delivery {
  readonly url: string
  readonly token: string | null
  readonly deliveryMs: number
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly fetch: typeof fetch
  readonly onRetry: () => void
}

export interface Shipment {
  readonly key: string | null
  readonly lines: readonly string[]
  readonly idempotencyKey: string
}

/** Null when the batch is acknowledged, else why not: MR_CLIENT_REFUSED or MR_CLIENT_GAVE_UP. */
export async function deliver(delivery: Delivery, shipment: Shipment): Promise<MillraceError | null> {
  const { clock, scheduler, deliveryMs, onRetry } = delivery
  const begun = clock.monotonicMs()
  const body = `${shipment.lines.join('\n')}\n`
  for (let attempt = 1; ; attempt++) {
    const failure = await send(delivery, shipment, body)
    if (failure === null) return null
    if (!failure.isTransient) return failure.error
    const spent = clock.monotonicMs() - begun
    const waitMs = Math.max(failure.retryAfterMs, Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt - 1, 20)))
    if (spent + waitMs > deliveryMs) return gaveUp(failure.error, shipment, attempt, spent)
    onRetry()
    await sleep(scheduler, waitMs)
  }
}

interface Failure {
  readonly isTransient: boolean
  readonly retryAfterMs: number
  readonly error: MillraceError
}

async function send(delivery: Delivery, { key, idempotencyKey }: Shipment, body: string): Promise<Failure | null> {
  const abort = new AbortController()
  const timer = delivery.scheduler.after(ANSWER_MS, () => abort.abort())
  try {
    const response = await delivery.fetch(delivery.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-ndjson',
        'idempotency-key': idempotencyKey,
        // Header values are bytes: UTF-8 goes through as latin1.
        ...(key === null ? {} : { 'millrace-key': Buffer.from(key).toString('latin1') }),
        ...(delivery.token === null ? {} : { authorization: `Bearer ${delivery.token}` }),
      },
      body,
      signal: abort.signal,
    })
    const text = await response.text()
    return response.ok ? null : failureOf(response, text)
  } catch (error) {
    const { cause } = error as { readonly cause?: { readonly code?: string } }
    const reason = abort.signal.aborted ? 'no answer in time' : (cause?.code ?? (error as Error).message)
    return {
      isTransient: true,
      retryAfterMs: 0,
      error: new MillraceError('MR_SERVER_UNREACHABLE', { details: { url: delivery.url, reason }, cause: error }),
    }
  } finally {
    timer.cancel()
  }
}

function failureOf(response: Response, text: string): Failure {
  const { status } = response
  const isTransient = status === 408 || status === 429 || status >= 500
  const seconds = Number(response.headers.get('retry-after') ?? 0)
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0
  return { isTransient, retryAfterMs, error: refusal(status, text) }
}

function refusal(status: number, text: string): MillraceError {
  try {
    const { error } = JSON.parse(text) as ErrorAnswer
    const lines = (error.lines ?? [])
      .slice(0, 5)
      .map(({ line, field, message }) => `event ${line}${field === null ? '' : `, field \`${field}\``}: ${message}`)
    const more = (error.lines?.length ?? 0) > 5 ? ', and more' : ''
    return new MillraceError('MR_CLIENT_REFUSED', {
      message: `the server refused a batch: ${error.message}${lines.length === 0 ? '' : ` (${lines.join('; ')}${more})`}`,
      details: { ...error.details, status, serverCode: error.code },
      fix: error.fix,
    })
  } catch (error) {
    if (isMillraceError(error)) throw error
    return new MillraceError('MR_CLIENT_REFUSED', {
      message: `the server answered ${status}.`,
      details: { status, answer: text.slice(0, 200) },
    })
  }
}

function gaveUp(last: MillraceError, { lines }: Shipment, attempts: number, spentMs: number): MillraceError {
  const code: ErrorCode = 'MR_CLIENT_GAVE_UP'
  return new MillraceError(code, {
    message: `a batch was not delivered: ${last.message}`,
    details: { events: lines.length, attempts, spentMs: Math.round(spentMs) },
    cause: last,
  })
}
