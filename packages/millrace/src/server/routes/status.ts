// What the plant says of itself: health, metrics, status, events, and the description of all this.
import { encodeJson } from '../../json.ts'
import { sendJson, sendText } from '../http/answers.ts'
import type { PlantContext } from './context.ts'
import { ANSWERED, type HttpCall } from '../http/call.ts'
import { forStrangers } from '../watch/health.ts'
import { metricsText } from '../watch/metrics.ts'
import { openApi } from '../http/openapi.ts'
import type { Route } from '../http/router.ts'
import * as schemas from './schemas.ts'

export function statusRoutes(context: PlantContext, routes: () => readonly Route[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/health',
      access: 'open',
      summary:
        '200 while events are taken, else 503; in both cases what works and what does not, each with code and fix. Needs no token; process and folder are for those who have it.',
      parameters: [
        {
          name: 'ready',
          in: 'query',
          type: 'boolean',
          summary: '200 only while everything works: every pipeline, every source, the log.',
          default: false,
        },
        { name: 'live', in: 'query', type: 'boolean', summary: '200 whenever the process answers.', default: false },
      ],
      answer: { types: ['application/json'], summary: 'Health, part by part.', schema: schemas.HEALTH },
      refusals: [503],
      handle: (call) => health(context, call),
    },
    {
      method: 'GET',
      path: '/metrics',
      access: 'read',
      summary: 'Metrics in the text format of Prometheus.',
      answer: { types: ['text/plain'], summary: 'Metrics.', schema: { type: 'string' } },
      handle: (call) => {
        sendText(call.response, 200, 'text/plain; version=0.0.4; charset=utf-8', metricsText(context.status(), context.collector), {
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
      handle: (call) => events(context, call),
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

function health({ health: look, mayRead }: PlantContext, call: HttpCall): typeof ANSWERED {
  const isLive = call.flag('live')
  const isReady = call.flag('ready')
  const answer = mayRead(call.request) ? look() : forStrangers(look())
  const isGood = isLive || (isReady ? answer.status === 'ok' : answer.status !== 'down')
  sendJson(call.response, isGood ? 200 : 503, answer)
  return ANSWERED
}

function events(context: PlantContext, call: HttpCall): typeof ANSWERED {
  const { response } = call
  context.streams.open(response, 'text/event-stream')
  const send = (): void => {
    // A page that does not read misses seconds; it is never buffered for.
    if (!response.writableNeedDrain && context.streams.isOpen(response)) response.write(`data: ${encodeJson(context.status())}\n\n`)
  }
  send()
  response.once('close', context.eachSecond(send))
  return ANSWERED
}
