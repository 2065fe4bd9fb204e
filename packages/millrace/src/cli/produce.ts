// `millrace produce TOPIC`: events from standard input, one per line, or one from --value.
import { MillraceError } from '@millrace/core/engine'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { type Remote, withRemote } from './remote.ts'

/** Lines that one request carries. */
const CHUNK_BYTES = 1 << 20

interface Answer {
  readonly count: number
}

export const produce: Command = {
  name: 'produce',
  usage: 'TOPIC',
  summary: 'Appends events to a topic: one per line of standard input, or one from --value.',
  options: [
    { name: 'value', value: 'JSON', summary: 'One event, instead of standard input.' },
    { name: 'key', value: 'KEY', summary: 'Key of all events.' },
    { name: 'time', value: 'TIME', summary: 'Time of the records, ms or ISO-8601; default now.' },
  ],
  examples: [
    { line: `npx millrace produce orders --value '{"id":1,"amount":20}'`, does: 'one event' },
    { line: 'npx millrace produce orders < orders.ndjson', does: 'a file, one event per line' },
  ],
  words: [1, 1],
  run: (context, invocation) =>
    withRemote(context, invocation, { create: false }, async (remote) => {
      const { options, json } = invocation
      requireTime(options['time'])
      const topic = invocation.words[0] as string
      let count = 0
      if (typeof options['value'] === 'string') count = await send(remote, invocation, topic, options['value'], 'application/json')
      else for await (const chunk of lineChunks(context)) count += await send(remote, invocation, topic, chunk, 'application/x-ndjson')
      if (count === 0) throw new MillraceError('MR_HTTP_BODY_EMPTY', { message: 'standard input had no events.', details: { topic } })
      context.out(
        json ? `${JSON.stringify({ topic, count })}\n` : `${countText(count)} ${count === 1 ? 'event' : 'events'} appended to ${topic}\n`,
      )
      return 0
    }),
}

/** As the collector takes it; here the message can name the flag. */
function requireTime(time: string | boolean | undefined): void {
  if (typeof time !== 'string' || /^-?\d+$/.test(time) || !Number.isNaN(Date.parse(time))) return
  throw new MillraceError('MR_CLI_USAGE', {
    message: `\`--time\` must be milliseconds since 1970 or an ISO-8601 time, not \`${time}\`.`,
    fix: 'For example `--time 2026-01-01T12:00:00Z`.',
  })
}

async function send(remote: Remote, { options }: Invocation, topic: string, body: string | Uint8Array, type: string): Promise<number> {
  const headers = {
    'content-type': type,
    ...(typeof options['key'] === 'string' ? { 'millrace-key': options['key'] } : {}),
    ...(typeof options['time'] === 'string' ? { 'millrace-time': options['time'] } : {}),
  }
  const response = await remote.send(`/topics/${encodeURIComponent(topic)}`, { method: 'POST', headers, body })
  return ((await response.json()) as Answer).count
}

/** Whole lines of standard input, about a MiB at a time. */
async function* lineChunks({ stdin }: CliContext): AsyncGenerator<Uint8Array> {
  let held: Buffer[] = []
  let size = 0
  for await (const given of stdin) {
    const chunk = Buffer.from(given as Uint8Array)
    const feed = size + chunk.length >= CHUNK_BYTES ? chunk.lastIndexOf(10) : -1
    if (feed < 0) {
      held.push(chunk)
      size += chunk.length
      continue
    }
    yield Buffer.concat([...held, chunk.subarray(0, feed + 1)])
    held = [chunk.subarray(feed + 1)]
    size = chunk.length - feed - 1
  }
  const rest = Buffer.concat(held)
  if (rest.toString('latin1').trim() !== '') yield rest
}
