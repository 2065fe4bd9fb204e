// `millrace tail TOPIC`: records of a topic, one a line; with --follow for as long as it is watched.
import type { TailRecord } from '../api.ts'
import { decodeJson } from '../json.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { timeText } from './format.ts'
import { withRemote } from './remote.ts'

export const tail: Command = {
  name: 'tail',
  usage: 'TOPIC',
  summary: 'Shows records of a topic.',
  options: [
    { name: 'follow', short: 'f', summary: 'Go on as records arrive.' },
    {
      name: 'from',
      value: 'WHERE',
      summary: '`newest` (default), `earliest`, `latest`, an offset, an ISO-8601 time, or an age such as -10m.',
    },
    { name: 'partition', value: 'N', summary: 'Only this partition.' },
    { name: 'limit', short: 'n', value: 'N', summary: 'Records to show; default 10, with --follow the start only.' },
  ],
  examples: [
    { line: 'npx millrace tail orders', does: 'the last 10 records' },
    { line: 'npx millrace tail orders -f', does: 'and those that come' },
    { line: 'npx millrace tail orders --from=-10m -n 1000 --json', does: 'the last ten minutes as NDJSON' },
  ],
  words: [1, 1],
  run: (context, invocation) =>
    withRemote(context, invocation, { create: false }, async (remote) => {
      const { options, words } = invocation
      const follow = options['follow'] === true
      const query = new URLSearchParams({ limit: String(options['limit'] ?? 10), ...(follow ? { follow: 'true' } : {}) })
      for (const name of ['from', 'partition']) if (typeof options[name] === 'string') query.set(name, options[name])
      const stop = new AbortController()
      if (follow) void context.stopSignal().then(() => stop.abort())
      const path = `/topics/${encodeURIComponent(words[0] as string)}?${query.toString()}`
      try {
        const response = await remote.send(path, { headers: { accept: 'application/x-ndjson' }, signal: stop.signal })
        const count = await showLines(context, invocation, response)
        if (count === 0 && !follow && !invocation.json) context.note('no records there\n')
      } catch (error) {
        if (!stop.signal.aborted) throw error
      }
      return 0
    }),
}

/** Returns how many there were. */
async function showLines(context: CliContext, invocation: Invocation, response: Response): Promise<number> {
  let count = 0
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') continue
      count++
      context.out(`${invocation.json ? line : recordText(decodeJson(line) as TailRecord)}\n`)
    }
  }
  return count
}

function recordText({ partition, offset, timeMs, key, value, bytes }: TailRecord): string {
  const shown = bytes === null ? JSON.stringify(value) : (textOf(bytes) ?? `base64:${bytes}`)
  return `${partition}:${offset}  ${timeText(timeMs)}  ${key === null ? '' : `${key}  `}${shown}`
}

function textOf(base64: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64'))
  } catch {
    return null
  }
}
