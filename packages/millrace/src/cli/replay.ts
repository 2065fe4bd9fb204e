// `millrace replay PIPELINE`: a range of the sources through a running pipeline again, beside the live one.
import { MillraceError, sleep } from '@millrace/core/engine'
import type { ReplayStatus } from '../server/pipelines/replay.ts'
import { table } from './format.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { findServer, type Remote, withRemote } from './remote.ts'

const ASK_MS = 200

export const replay: Command = {
  name: 'replay',
  usage: 'PIPELINE | list | delete ID',
  summary: 'Sends a range through a running pipeline again, beside the live one; outputs go to topics with the suffix .replay-ID.',
  options: [
    { name: 'from', value: 'TIME', summary: 'Start: ISO-8601, ms, or an age such as -2h. Default: all that is kept.' },
    { name: 'to', value: 'TIME', summary: 'End, exclusive. Default: now.' },
    {
      name: 'by',
      value: 'event|append',
      summary: 'Which time; default event: the one that the topic declares. Append: when it was collected.',
    },
    { name: 'topic', value: 'TOPIC', summary: 'Offsets of this source instead of times.' },
    { name: 'partition', value: 'N', summary: 'Its partition; default 0.' },
    { name: 'from-offset', value: 'N', summary: 'First offset.' },
    { name: 'to-offset', value: 'N', summary: 'Last offset, exclusive.' },
    { name: 'id', value: 'ID', summary: 'Name of the replay; default: made from the time.' },
    {
      name: 'sinks',
      summary: 'Run sinks too. They write where the live ones write; `ndjsonFile` writes a file of its own, `NAME.replay-ID.ndjson`.',
    },
  ],
  examples: [
    { line: 'npx millrace replay flights --from=-2h', does: 'the last two hours of event time' },
    {
      line: 'npx millrace replay flights --topic departures --from-offset 1000 --to-offset 2000 --id check',
      does: 'a thousand records; results in alerts.replay-check',
    },
    { line: 'npx millrace table hourly --replay check', does: 'what the replay has in a table, while it runs and afterwards' },
    { line: 'npx millrace replay list', does: 'replays and what they wrote' },
    { line: 'npx millrace replay delete check', does: 'its topics and tables' },
  ],
  words: [1, 2],
  async run(context, invocation) {
    const [word = '', id] = invocation.words
    if (word === 'list') return withRemote(context, invocation, { create: false }, (remote) => list(context, invocation, remote))
    if (word === 'delete') return withRemote(context, invocation, { create: false }, (remote) => remove(context, invocation, remote, id))
    if (id !== undefined)
      throw new MillraceError('MR_CLI_USAGE', {
        message: `replay takes one pipeline, and \`${id}\` is one word too many.`,
        fix: 'See `npx millrace replay --help`.',
      })
    const remote = findServer(invocation)
    if (remote === null) {
      throw new MillraceError('MR_SERVER_UNREACHABLE', {
        message: 'a replay runs beside the live pipeline, and no server runs for this folder.',
        details: { folder: invocation.settings.data },
      })
    }
    const started = await remote.json<ReplayStatus>(`/api/pipelines/${encodeURIComponent(word)}/replays`, requestOf(invocation))
    context.note(`replay ${started.id} of ${word} runs${whereText(started)}\n`)
    return watch(context, invocation, remote, started.id)
  },
}

/** Where to look at what the replay computes. */
function whereText({ id, outputs, tables }: ReplayStatus): string {
  const topics = outputs.length === 0 ? '' : `; it writes to ${outputs.join(', ')}`
  return tables.length === 0
    ? topics
    : `${topics}; look with ${tables.map((name) => `\`npx millrace table ${name} --replay ${id}\``).join(', ')}`
}

function timelessText({ rowsTimeless }: ReplayStatus): string {
  return rowsTimeless === 0 ? '' : `, ${rowsTimeless} left out because they have no usable event time`
}

async function list(context: CliContext, { json }: Invocation, remote: Remote): Promise<number> {
  const replays = await remote.json<readonly ReplayStatus[]>('/api/replays')
  if (json) for (const one of replays) context.out(`${JSON.stringify(one)}\n`)
  else if (replays.length === 0) context.out('no replays\n')
  else
    context.out(
      table(
        ['replay', 'pipeline', 'phase', 'rows', 'tables', 'topics'],
        replays.map(({ id, pipeline, phase, rowsIn, tables, outputs }) => [
          id,
          pipeline,
          phase,
          phase === 'left' ? '' : countText(rowsIn),
          tables.join(', '),
          outputs.join(', '),
        ]),
      ),
    )
  return 0
}

async function remove(context: CliContext, { json }: Invocation, remote: Remote, id: string | undefined): Promise<number> {
  if (id === undefined)
    throw new MillraceError('MR_CLI_USAGE', { message: '`replay delete` needs the id of a replay.', fix: 'npx millrace replay delete ID' })
  const gone = await remote.json<{ readonly topics: readonly string[] }>(`/api/replays/${encodeURIComponent(id)}`, undefined, 'DELETE')
  context.out(json ? `${JSON.stringify(gone)}\n` : `${id} deleted${gone.topics.length === 0 ? '' : `: ${gone.topics.join(', ')}`}\n`)
  return 0
}

function requestOf({ options }: Invocation): Readonly<Record<string, unknown>> {
  const number = (name: string): number | undefined => {
    const text = options[name]
    if (typeof text !== 'string') return undefined
    if (/^\d+$/.test(text)) return Number(text)
    throw new MillraceError('MR_CLI_USAGE', { message: `--${name} must be a whole number, not \`${text}\`.` })
  }
  const request = {
    id: options['id'],
    from: options['from'],
    to: options['to'],
    by: options['by'],
    topic: options['topic'],
    partition: number('partition'),
    fromOffset: number('from-offset'),
    toOffset: number('to-offset'),
    sinks: options['sinks'] === true ? true : undefined,
  }
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined))
}

async function watch(context: CliContext, { json }: Invocation, remote: Remote, id: string): Promise<number> {
  for (;;) {
    const status = await remote.json<ReplayStatus>(`/api/replays/${id}`)
    if (status.phase !== 'running') {
      if (json) context.out(`${JSON.stringify(status)}\n`)
      else if (status.error === null) context.out(`finished: ${countText(status.rowsIn)} rows read${timelessText(status)}\n`)
      else context.note(`error ${status.error.code}: ${status.error.message}\n  fix: ${status.error.fix}\n`)
      return status.phase === 'finished' ? 0 : 1
    }
    await sleep(context.scheduler, ASK_MS)
  }
}
