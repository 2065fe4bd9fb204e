// What the plant says of itself: health, metrics, status, events, and the description of all this.
import { MillraceError } from '@millrace/core/engine'
import { encodeJson } from '../../json.ts'
import { VERSION } from '../../version.ts'
import { sendJson, sendText } from '../answers.ts'
import type { PlantContext } from '../context.ts'
import { ANSWERED, type Exchange } from '../exchange.ts'
import { metricsText } from '../metrics.ts'
import { openApi } from '../openapi.ts'
import type { Route } from '../router.ts'
import * as schemas from './schemas.ts'

export function statusRoutes(context: PlantContext, routes: () => readonly Route[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/health',
      access: 'open',
      summary: '200 while every pipeline and source runs, else 503 with those that do not.',
      answer: { types: ['application/json'], summary: 'Health.', schema: { type: 'object' } },
      refusals: [503],
      handle: (exchange) => health(context, exchange),
    },
    {
      method: 'GET',
      path: '/metrics',
      access: 'read',
      summary: 'Metrics in the text format of Prometheus.',
      answer: { types: ['text/plain'], summary: 'Metrics.', schema: { type: 'string' } },
      handle: (exchange) => {
        sendText(exchange.response, 200, 'text/plain; version=0.0.4; charset=utf-8', metricsText(context.status(), context.collector), {
          'cache-control': 'no-store',
        })
        return ANSWERED
      },
    },
    {
      method: 'GET',
      path: '/api/status',
      access: 'read',
      summary: 'The whole plant at one moment.',
      answer: { types: ['application/json'], summary: 'Status.', schema: schemas.STATUS },
      handle: () => context.status(),
    },
    {
      method: 'GET',
      path: '/api/events',
      access: 'read',
      summary: 'The status each second, as server-sent events.',
      answer: { types: ['text/event-stream'], summary: 'Status after status.', schema: { type: 'string' } },
      handle: (exchange) => events(context, exchange),
    },
    {
      method: 'GET',
      path: '/openapi.json',
      access: 'read',
      summary: 'This description, OpenAPI 3.1.',
      answer: { types: ['application/json'], summary: 'The description.', schema: { type: 'object' } },
      handle: () => openApi(routes()),
    },
  ]
}

function health(context: PlantContext, exchange: Exchange): typeof ANSWERED {
  if (!context.isReady()) throw new MillraceError('MR_SERVER_STARTING')
  const bad = Array.from(context.pipelines.values(), ({ running }) => running.status()).filter(({ phase }) => phase === 'degraded')
  const sources = context.sources().filter(({ phase }) => phase === 'failed' || phase === 'retrying')
  const isGood = bad.length === 0 && sources.length === 0
  const pipelines = bad.map(({ pipeline, tasks }) => ({
    pipeline,
    tasks: tasks.filter((task) => task.error !== null).map(({ task, phase, error }) => ({ task, phase, code: error?.code ?? null })),
  }))
  sendJson(exchange.response, isGood ? 200 : 503, {
    status: isGood ? 'ok' : 'degraded',
    millrace: { version: VERSION, pid: process.pid, folder: context.folder },
    pipelines,
    sources: sources.map(({ name, phase, error }) => ({ source: name, phase, code: error?.code ?? null })),
  })
  return ANSWERED
}

function events(context: PlantContext, exchange: Exchange): typeof ANSWERED {
  const { response } = exchange
  context.streams.open(response, 'text/event-stream')
  const send = (): void => {
    // A page that does not read misses seconds; it is never buffered for.
    if (!response.writableNeedDrain && context.streams.isOpen(response)) response.write(`data: ${encodeJson(context.status())}\n\n`)
  }
  send()
  response.once('close', context.eachSecond(send))
  return ANSWERED
}
