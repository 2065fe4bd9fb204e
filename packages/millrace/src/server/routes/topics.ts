// Topics over HTTP: collect, tail, list, and their settings.
import { MillraceError, type Topic, type TopicSettings } from '@millrace/core/engine'
import type { TailRecord, TopicCreated, TopicStatus } from '../../api.ts'
import { encodeJson } from '../../json.ts'
import { sendJson } from '../http/answers.ts'
import { topicUnknown } from '../collect/collector.ts'
import type { PlantContext } from './context.ts'
import { ANSWERED, type HttpCall, queryInvalid } from '../http/call.ts'
import type { Parameter, Route } from '../http/router.ts'
import { drained } from '../http/streams.ts'
import { startPositions, Tail } from './tail.ts'
import * as schemas from './schemas.ts'

const LIMIT_MAX = 10_000
/** A page goes on behind this many bytes of records with the next request (`millrace-next`). */
const PAGE_BYTES_MAX = 16 << 20
const WAIT_MS_MAX = 60_000
/** A quiet stream says that it lives after this long. */
const HEARTBEAT_MS = 15_000
const SETTINGS = ['partitions', 'retentionMs', 'retentionBytes', 'compacted', 'batchBytesMax'] as const

const COLLECT_PARAMETERS: readonly Parameter[] = [
  {
    name: 'ack',
    in: 'query',
    type: 'string',
    default: 'durable',
    summary: '`durable`: answered when the events survive a power cut. `received`: answered when they are in memory.',
  },
  { name: 'Millrace-Key', in: 'header', type: 'string', summary: 'Key of all events of the request. Default: the key field of the topic.' },
  { name: 'Millrace-Time', in: 'header', type: 'string', summary: 'Time of the records, ms or ISO-8601. Default: now.' },
  {
    name: 'Idempotency-Key',
    in: 'header',
    type: 'string',
    summary: 'A repeat of key, body and `Millrace-Key` within 24 hours appends nothing and answers the first offsets.',
  },
]

const TAIL_PARAMETERS: readonly Parameter[] = [
  {
    name: 'from',
    in: 'query',
    type: 'string',
    default: 'newest',
    summary: '`newest` (the last `limit` records), `earliest`, `latest`, an offset, an ISO-8601 time, or an age such as `-10m`.',
  },
  { name: 'partition', in: 'query', type: 'integer', summary: 'Default: all.' },
  { name: 'limit', in: 'query', type: 'integer', default: 100, summary: `Records, at most ${LIMIT_MAX}.` },
  { name: 'waitMs', in: 'query', type: 'integer', default: 0, summary: 'Long poll: wait so long while there is nothing.' },
  {
    name: 'follow',
    in: 'query',
    type: 'boolean',
    default: false,
    summary: 'An NDJSON stream that goes on. Server-sent events always go on.',
  },
]

export function topicRoutes(context: PlantContext): readonly Route[] {
  return [...recordRoutes(context), ...settingRoutes(context)]
}

function recordRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/topics/{topic}',
      access: 'change',
      summary: 'Appends events to a topic: one JSON event, a JSON array, or NDJSON; plain, gzip or zstd.',
      parameters: COLLECT_PARAMETERS,
      body: {
        types: ['application/json', 'application/x-ndjson', 'application/octet-stream', 'text/csv'],
        summary: 'The events.',
        schema: {},
      },
      answer: { types: ['application/json'], summary: 'Where the events are.', schema: schemas.COLLECTED },
      refusals: [400, 403, 404, 409, 413, 415, 429, 507],
      handle: (call) => context.collector.collect(call),
    },
    {
      method: 'GET',
      path: '/topics/{topic}',
      access: 'read',
      summary: 'Reads records of a topic: a page, or a stream that follows it.',
      parameters: TAIL_PARAMETERS,
      answer: {
        types: ['application/json', 'application/x-ndjson', 'text/event-stream'],
        summary: 'Records; the header Millrace-Next says where to read on.',
        schema: { type: 'array', items: schemas.TAIL_RECORD },
      },
      refusals: [400, 404],
      handle: (call) => tail(context, call),
    },
    {
      method: 'GET',
      path: '/topics',
      access: 'read',
      summary: 'Lists topics.',
      parameters: [{ name: 'internal', in: 'query', type: 'boolean', default: false, summary: 'Also those of the plant itself.' }],
      answer: { types: ['application/json'], summary: 'Topics by name.', schema: { type: 'array', items: schemas.TOPIC } },
      handle: (call) => topicStatuses(context, call.flag('internal')),
    },
  ]
}

function settingRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'PUT',
      path: '/api/topics/{topic}',
      access: 'change',
      summary: 'Creates a topic. No error when it exists with these settings.',
      body: { types: ['application/json'], summary: 'Settings; those left out have their defaults.', schema: schemas.TOPIC_SETTINGS },
      answer: { types: ['application/json'], summary: 'The topic; `created` is false when it existed.', schema: schemas.TOPIC_CREATED },
      refusals: [400, 409],
      handle: (call) => create(context, call),
    },
    {
      method: 'POST',
      path: '/api/topics/{topic}/settings',
      access: 'change',
      summary: 'Changes settings of a topic that are not fixed.',
      body: { types: ['application/json'], summary: 'The settings to change.', schema: schemas.TOPIC_SETTINGS },
      answer: { types: ['application/json'], summary: 'The topic.', schema: schemas.TOPIC },
      refusals: [400, 404],
      handle: async (call) => {
        const name = knownTopic(context, call)
        return statusOf(context, await context.log.alterTopic(name, (await call.json(SETTINGS)) as Partial<TopicSettings>))
      },
    },
    {
      method: 'DELETE',
      path: '/api/topics/{topic}',
      access: 'change',
      summary: 'Deletes a topic with all its records. A topic of a running pipeline is refused.',
      answer: { types: ['application/json'], summary: 'The name.', schema: { type: 'object' } },
      refusals: [400, 404],
      handle: (call) => remove(context, call),
    },
  ]
}

/** Topics by name. */
export function topicStatuses(context: Pick<PlantContext, 'log'>, internal: boolean): readonly TopicStatus[] {
  return context.log
    .topics()
    .filter((topic) => internal || !topic.settings.internal)
    .map((topic) => statusOf(context, topic))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function statusOf({ log }: Pick<PlantContext, 'log'>, { name, settings }: Topic): TopicStatus {
  let records = 0
  let bytes = 0
  for (const ends of log.ends(name)) {
    records += ends.end - ends.start
    bytes += ends.bytes
  }
  return {
    name,
    partitions: settings.partitions,
    records,
    bytes,
    retentionMs: settings.retentionMs,
    compacted: settings.compacted,
    internal: settings.internal,
  }
}

function userTopic(call: HttpCall): string {
  const name = call.params['topic'] as string
  if (name.startsWith('__'))
    throw new MillraceError('MR_TOPIC_RESERVED', { message: 'names that start with `__` belong to the plant.', details: { topic: name } })
  return name
}

function knownTopic(context: PlantContext, call: HttpCall): string {
  const name = userTopic(call)
  const topic = context.log.topic(name)
  if (topic === null) throw topicUnknown(context.log, name)
  if (topic.settings.internal) throw new MillraceError('MR_TOPIC_RESERVED', { details: { topic: name } })
  return name
}

async function create(context: PlantContext, call: HttpCall): Promise<TopicCreated> {
  const name = userTopic(call)
  const settings = await call.json(SETTINGS)
  const created = context.log.topic(name) === null
  return { ...statusOf(context, await context.log.createTopic(name, settings)), created }
}

async function remove(context: PlantContext, call: HttpCall): Promise<{ readonly deleted: string }> {
  const name = knownTopic(context, call)
  for (const { name: pipeline, plan } of context.pipelines.running.values()) {
    const isUsed = plan.nodes.some(
      (node) => ('topic' in node && node.topic.name === name) || (node.kind === 'table-source' && node.from.name === name),
    )
    if (!isUsed && !context.reserved.has(name)) continue
    throw new MillraceError('MR_TOPIC_RESERVED', {
      message: 'a running pipeline uses the topic.',
      details: { topic: name, pipeline },
      fix: 'Stop the pipeline, or take the topic out of it, before the topic is deleted.',
    })
  }
  await context.log.deleteTopic(name)
  return { deleted: name }
}

async function tail(context: PlantContext, call: HttpCall): Promise<typeof ANSWERED> {
  const name = call.params['topic'] as string
  if (context.log.topic(name) === null) throw topicUnknown(context.log, name)
  const limit = call.number('limit', 100, 1, LIMIT_MAX)
  const waitMs = call.number('waitMs', 0, 0, WAIT_MS_MAX)
  const partition = call.query.has('partition') ? call.number('partition', 0, 0, 1023) : null
  const isSse = call.accepts('text/event-stream')
  const isLines = call.accepts('application/x-ndjson')
  const follow = isSse || call.flag('follow')
  if (follow && !isSse && !isLines && call.header('accept')?.includes('application/json') === true) {
    throw queryInvalid('follow', 'true', 'asked for with `Accept: application/x-ndjson` or `text/event-stream`')
  }
  const from = call.once('from') ?? 'newest'
  const reader = new Tail(context.log, await startPositions(context.log, { topic: name, partition, from, limit }, context.clock.nowMs()))
  try {
    if (follow) await stream(context, call, reader, isSse)
    else sendPage(call, reader, await page(reader, limit, waitMs, from === 'newest'), isLines)
  } finally {
    reader.close()
  }
  return ANSWERED
}

/** Up to `limit` records or PAGE_BYTES_MAX: fetches go on while there are more, and wait only while there is none at all. */
async function page(reader: Tail, limit: number, waitMs: number, newest: boolean): Promise<readonly TailRecord[]> {
  const fetches: { readonly records: readonly TailRecord[]; readonly bytes: number }[] = []
  let count = 0
  let bytes = 0
  for (;;) {
    // The newest records of several partitions are more than asked for: the oldest of them are left out below.
    const room = newest ? LIMIT_MAX : limit - count
    const records = await reader.next(room, count === 0 ? waitMs : 0)
    fetches.push({ records, bytes: reader.bytes })
    count += records.length
    bytes += reader.bytes
    if (records.length === 0 || (!newest && (count >= limit || bytes >= PAGE_BYTES_MAX)) || count >= LIMIT_MAX) break
    while (bytes > PAGE_BYTES_MAX && fetches.length > 1) {
      const oldest = fetches.shift()
      bytes -= oldest?.bytes ?? 0
      count -= oldest?.records.length ?? 0
    }
  }
  const records = fetches.flatMap((fetched) => fetched.records)
  if (newest && records.length > limit) return records.toSorted((a, b) => a.timeMs - b.timeMs).slice(-limit)
  return records
}

function sendPage(call: HttpCall, reader: Tail, records: readonly TailRecord[], isLines: boolean): void {
  const next = reader.positions.toSorted((a, b) => a.partition - b.partition).map(({ partition, offset }) => `${partition}=${offset}`)
  const only = reader.positions.length === 1 ? reader.positions[0] : undefined
  const headers = { 'millrace-next': next.join(','), ...(only === undefined ? {} : { 'millrace-next-offset': only.offset }) }
  if (!isLines) return sendJson(call.response, 200, records, headers)
  const text = records.map((record) => `${encodeJson(record)}\n`).join('')
  call.response.writeHead(200, {
    'content-type': 'application/x-ndjson',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  })
  call.response.end(text)
}

async function stream(context: PlantContext, call: HttpCall, reader: Tail, isSse: boolean): Promise<void> {
  const { response } = call
  context.streams.open(response, isSse ? 'text/event-stream' : 'application/x-ndjson')
  try {
    while (context.streams.isOpen(response)) {
      const records = await reader.next(1000, HEARTBEAT_MS)
      if (!context.streams.isOpen(response)) return
      if (records.length === 0) response.write(isSse ? ':\n\n' : '\n')
      else response.write(records.map((record) => (isSse ? `data: ${encodeJson(record)}\n\n` : `${encodeJson(record)}\n`)).join(''))
      await drained(response)
    }
  } catch (error) {
    if (context.streams.isOpen(response))
      response.end(`${isSse ? 'event: error\ndata: ' : ''}${encodeJson({ error: String((error as Error).message) })}\n\n`)
  }
}
