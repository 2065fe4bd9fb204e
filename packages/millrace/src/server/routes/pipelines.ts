// Pipelines over HTTP: the plan that runs, and replays beside it.
import { MillraceError, nearestWord, outputsOf, serializePlan } from '@millrace/core/engine'
import type { PlantContext } from './context.ts'
import { ANSWERED, type HttpCall } from '../http/call.ts'
import { sendJson } from '../http/answers.ts'
import type { PlantPipeline } from '../pipelines/pipelines.ts'
import { newestPlan, type StartedPlan, storedPlans } from '../pipelines/plan-store.ts'
import type { ReplayRequest } from '../pipelines/replay.ts'
import { unshippedOf } from '../pipelines/state-gate.ts'
import type { Route } from '../http/router.ts'
import { timeOrAgeMs } from '../times.ts'
import * as schemas from './schemas.ts'

const REPLAY_MEMBERS = ['id', 'from', 'to', 'by', 'topic', 'partition', 'fromOffset', 'toOffset', 'sinks']
const ID = /^[A-Za-z0-9_-]{1,40}$/

export function pipelineRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/pipelines/{pipeline}/plan',
      access: 'read',
      summary: 'The plan with which the pipeline was started last; also of a pipeline that does not run.',
      answer: {
        types: ['application/json'],
        summary:
          'Code version, time, plan, `unshipped`: batches that wait for a sink, by its name, and `outputs`: what it, or an earlier plan, has sent rows to.',
        schema: { type: 'object' },
      },
      refusals: [404],
      handle: async (call) => {
        const name = call.params['pipeline'] as string
        const running = context.pipelines.running.get(name)
        const started = running === undefined ? await newestPlan(context.log, name) : startedPlan(running)
        if (started === null) throw neverStarted(name, context.pipelines.running.keys())
        const unshipped = Object.fromEntries(await unshippedOf(context.log, started.plan))
        return { ...started, unshipped, outputs: outputsOf((await storedPlans(context.log, name)).map(({ plan }) => plan)) }
      },
    },
    {
      method: 'POST',
      path: '/api/pipelines/{pipeline}/replays',
      access: 'change',
      summary:
        'Sends a range of the sources through the pipeline again, beside the live one. Outputs go to topics with the suffix `.replay-ID`.',
      body: {
        types: ['application/json'],
        summary: 'Times `from` and `to`, or `topic`, `partition` and offsets; `sinks` to run sinks too.',
        schema: schemas.REPLAY,
      },
      answer: { types: ['application/json'], summary: 'The replay as it begins.', schema: schemas.REPLAY_STATUS },
      refusals: [400, 404, 409],
      handle: async (call) => {
        const pipeline = context.pipelines.of(call.params['pipeline'] as string)
        const request = replayRequestOf(await call.json(REPLAY_MEMBERS), context.clock.nowMs())
        const replay = await context.replays.start(pipeline, request)
        return replay.status()
      },
    },
    ...replayRoutes(context),
  ]
}

function neverStarted(pipeline: string, running: Iterable<string>): MillraceError {
  const near = nearestWord(pipeline, running)
  return new MillraceError('MR_SERVER_PIPELINE_UNKNOWN', {
    message: `no pipeline of this name was ever started${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { pipeline: pipeline.slice(0, 100) },
  })
}

function startedPlan({ plan, running }: PlantPipeline): StartedPlan {
  const { codeVersion, startedAtMs } = running.status()
  return { codeVersion, atMs: startedAtMs, plan: serializePlan(plan) }
}

function replayRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/replays',
      access: 'read',
      summary: 'Replays since the server started, and earlier ones whose topics are still there.',
      answer: { types: ['application/json'], summary: 'Replays.', schema: { type: 'array', items: schemas.REPLAY_STATUS } },
      handle: () => context.replays.statuses(),
    },
    {
      method: 'GET',
      path: '/api/replays/{id}',
      access: 'read',
      summary: 'One replay.',
      answer: { types: ['application/json'], summary: 'The replay as it is.', schema: schemas.REPLAY_STATUS },
      refusals: [404],
      handle: (call) => one(context, call),
    },
    {
      method: 'DELETE',
      path: '/api/replays/{id}',
      access: 'change',
      summary: 'Ends a replay when it runs, and deletes its tables and its topics with the suffix `.replay-ID`.',
      answer: { types: ['application/json'], summary: 'The topics that are gone.', schema: schemas.REPLAY_DELETED },
      refusals: [404],
      handle: async (call) => {
        const id = call.params['id'] as string
        return { id, topics: await context.replays.delete(id) }
      },
    },
  ]
}

function one(context: PlantContext, call: HttpCall): typeof ANSWERED {
  const id = call.params['id'] as string
  sendJson(call.response, 200, context.replays.statusOf(id))
  return ANSWERED
}

function invalid(member: string, expected: string): MillraceError {
  return new MillraceError('MR_HTTP_BODY_INVALID', { message: `\`${member}\` must be ${expected}.`, details: { member } })
}

function timeMember(body: Readonly<Record<string, unknown>>, member: string, fallback: number, nowMs: number): number {
  const value = body[member]
  if (value === undefined || value === null) return fallback
  const timeMs =
    typeof value === 'number' ? value : typeof value === 'string' ? (/^\d+$/.test(value) ? Number(value) : timeOrAgeMs(value, nowMs)) : null
  if (timeMs === null || timeMs < 0) throw invalid(member, 'a time: milliseconds, ISO-8601, or an age such as `-2h`')
  return timeMs
}

function wholeMember(body: Readonly<Record<string, unknown>>, member: string, fallback: number): number {
  const value = body[member] ?? fallback
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(member, 'a whole number from 0')
  return value
}

/** The request of a body. Throws MR_HTTP_BODY_INVALID. */
export function replayRequestOf(body: Readonly<Record<string, unknown>>, nowMs: number): ReplayRequest {
  const { id = nowMs.toString(36), by = 'event', topic, sinks = false } = body
  if (typeof id !== 'string' || !ID.test(id)) throw invalid('id', '1 to 40 of a-z A-Z 0-9 _ -')
  if (by !== 'event' && by !== 'append') throw invalid('by', '`event` or `append`')
  if (typeof sinks !== 'boolean') throw invalid('sinks', 'true or false')
  if (topic !== undefined && typeof topic !== 'string') throw invalid('topic', 'the name of a topic')
  if (topic === undefined && (body['fromOffset'] !== undefined || body['toOffset'] !== undefined))
    throw invalid('topic', 'given with offsets')
  const offsets =
    topic === undefined
      ? null
      : {
          topic,
          partition: wholeMember(body, 'partition', 0),
          from: wholeMember(body, 'fromOffset', 0),
          to: wholeMember(body, 'toOffset', Number.MAX_SAFE_INTEGER),
        }
  return {
    id,
    by,
    sinks,
    offsets,
    fromMs: timeMember(body, 'from', Number.NEGATIVE_INFINITY, nowMs),
    toMs: timeMember(body, 'to', Number.POSITIVE_INFINITY, nowMs),
  }
}
