// JSON Schemas of what the routes take and answer; /openapi.json holds them.

const text = { type: 'string' } as const
const whole = { type: 'integer' } as const
const flag = { type: 'boolean' } as const
const maybeText = { type: ['string', 'null'] } as const
const maybeWhole = { type: ['integer', 'null'] } as const
/** A number, or '+inf' or '-inf'. */
const time = { type: ['number', 'string'], description: 'Milliseconds, or `+inf` or `-inf`.' } as const

function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []): object {
  return { type: 'object', properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) }
}

export const ERROR: object = object({
  error: object(
    {
      code: text,
      message: text,
      fix: text,
      details: { type: 'object', additionalProperties: true },
      lines: { type: 'array', items: object({ line: whole, field: maybeText, code: text, message: text }) },
    },
    ['lines'],
  ),
})

export const COLLECTED: object = object(
  {
    topic: text,
    count: whole,
    offsets: { type: 'array', items: object({ partition: whole, first: whole, count: whole }) },
    repeated: flag,
  },
  ['repeated'],
)

export const TAIL_RECORD: object = object({ partition: whole, offset: whole, timeMs: whole, key: maybeText, value: {}, bytes: maybeText })

const TOPIC_FIELDS = {
  name: text,
  partitions: whole,
  records: whole,
  bytes: whole,
  retentionMs: maybeWhole,
  compacted: flag,
  internal: flag,
}

export const TOPIC: object = object(TOPIC_FIELDS)

export const TOPIC_CREATED: object = object({ ...TOPIC_FIELDS, created: flag })

export const TOPIC_SETTINGS: object = {
  type: 'object',
  properties: { partitions: whole, retentionMs: maybeWhole, retentionBytes: maybeWhole, compacted: flag, batchBytesMax: whole },
  additionalProperties: false,
}

const TABLE_ROW =
  'Values by field. Exact ones that a JSON number may not hold are texts: decimals, and whole numbers beyond ±2^53; bytes are base64, times milliseconds.'

export const TABLE_PAGE: object = object({
  table: text,
  rows: { type: 'array', items: { type: 'object', description: TABLE_ROW } },
  rowCount: whole,
  tick: { type: ['number', 'string'] },
  watermarkMs: time,
})

export const TABLE: object = object({
  pipeline: text,
  name: text,
  primaryKey: { type: 'array', items: text },
  fields: { type: 'array', items: text },
  times: { type: 'array', items: text },
  numbers: { type: 'array', items: text },
  rows: whole,
  bytes: whole,
})

const HEALTH_REASON: object = {
  ...object({ code: text, message: text, fix: text, task: text, topic: text, partition: whole }),
  required: ['code', 'message', 'fix'],
}

const healthStatus: object = { enum: ['ok', 'degraded', 'down'] }

export const HEALTH: object = object({
  status: healthStatus,
  millrace: object({ version: text, pid: maybeWhole, folder: maybeText }),
  parts: {
    type: 'array',
    items: object({
      part: { enum: ['collector', 'log', 'pipeline', 'source'] },
      name: maybeText,
      status: healthStatus,
      reasons: { type: 'array', items: HEALTH_REASON },
    }),
  },
})

export const LETTER: object = object({
  id: whole,
  code: text,
  operator: text,
  message: text,
  fix: text,
  place: maybeText,
  topic: text,
  partition: whole,
  offset: whole,
  timeMs: maybeWhole,
  atMs: whole,
  attempt: whole,
  text: maybeText,
  base64: maybeText,
  state: { enum: ['open', 'retried', 'discarded'] },
})

export const LETTER_GROUP: object = object({
  pipeline: text,
  code: text,
  operator: text,
  count: whole,
  firstAtMs: whole,
  lastAtMs: whole,
  sample: LETTER,
})

export const RETRY: object = {
  type: 'object',
  properties: { ids: { type: 'array', items: whole }, code: text, operator: text },
  additionalProperties: false,
}

export const RETRIED: object = object({ moved: whole, refused: { type: 'array', items: object({ reason: text, count: whole }) } })

export const DISCARDED: object = object({ discarded: whole })

export const STATUS: object = object({
  version: text,
  nowMs: whole,
  startedAtMs: whole,
  folder: maybeText,
  pipelines: { type: 'array', items: { type: 'object' } },
  sources: { type: 'array', items: { type: 'object' } },
  topics: { type: 'array', items: TOPIC },
  memory: object({ residentBytes: whole, heapBytes: whole, budgetBytes: whole }),
  disk: object({ freeBytes: whole, reserveBytes: whole }),
  log: { type: ['object', 'null'] },
  rates: object({ topics: { type: 'object' }, nodes: { type: 'object' } }),
  notices: { type: 'array', items: { type: 'object' } },
})

export const REPLAY: object = {
  type: 'object',
  properties: {
    id: text,
    from: { type: ['string', 'integer'], description: 'ISO-8601 time, ms, or an age such as `-2h`.' },
    to: { type: ['string', 'integer'] },
    by: { enum: ['event', 'append'] },
    topic: text,
    partition: whole,
    fromOffset: whole,
    toOffset: whole,
    sinks: flag,
  },
  additionalProperties: false,
}

export const REPLAY_DELETED: object = object({ id: text, topics: { type: 'array', items: text } })

export const REPLAY_STATUS: object = object({
  id: text,
  pipeline: text,
  phase: { enum: ['running', 'finished', 'failed', 'left'] },
  startedAtMs: maybeWhole,
  endedAtMs: maybeWhole,
  outputs: { type: 'array', items: text },
  tables: { type: 'array', items: text },
  rowsIn: whole,
  rowsTimeless: whole,
  error: { type: ['object', 'null'] },
})
