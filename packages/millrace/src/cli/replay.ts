// `millrace replay PIPELINE`: a range of the sources through a running pipeline again, beside the live one.
import { MillraceError, sleep } from '@millrace/core/engine'
import type { ReplayStatus } from '../server/replays.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { findServer, type Remote } from './remote.ts'

const ASK_MS = 200

export const replay: Command = {
  name: 'replay',
  usage: 'PIPELINE',
  summary: 'Sends a range through a running pipeline again, beside the live one; outputs go to topics with the suffix .replay-ID.',
  options: [
    { name: 'from', value: 'TIME', summary: 'Start: ISO-8601, ms, or an age such as -2h. Default: all that is kept.' },
    { name: 'to', value: 'TIME', summary: 'End, exclusive. Default: now.' },
    { name: 'by', value: 'event|append', summary: 'Which time; default event.' },
    { name: 'topic', value: 'TOPIC', summary: 'Offsets of this source instead of times.' },
    { name: 'partition', value: 'N', summary: 'Its partition; default 0.' },
    { name: 'from-offset', value: 'N', summary: 'First offset.' },
    { name: 'to-offset', value: 'N', summary: 'Last offset, exclusive.' },
    { name: 'id', value: 'ID', summary: 'Name of the replay; default: made from the time.' },
    { name: 'sinks', summary: 'Run sinks too. They write where the live ones write.' },
  ],
  examples: [
    { line: 'millrace replay flights --from=-2h', does: 'the last two hours of event time' },
    {
      line: 'millrace replay flights --topic departures --from-offset 1000 --to-offset 2000 --id check',
      does: 'a thousand records; results in alerts.replay-check',
    },
  ],
  words: [1, 1],
  async run(context, invocation) {
    const remote = findServer(invocation)
    if (remote === null) {
      throw new MillraceError('MR_SERVER_UNREACHABLE', {
        message: 'a replay runs beside the live pipeline, and no server runs for this folder.',
        details: { folder: invocation.settings.data },
      })
    }
    const pipeline = invocation.words[0] as string
    const started = await remote.json<ReplayStatus>(`/api/pipelines/${encodeURIComponent(pipeline)}/replays`, requestOf(invocation))
    context.note(
      `replay ${started.id} of ${pipeline} runs${started.outputs.length === 0 ? '' : `; it writes to ${started.outputs.join(', ')}`}\n`,
    )
    return watch(context, invocation, remote, started.id)
  },
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
      else if (status.error === null) context.out(`finished: ${status.rowsIn} rows read\n`)
      else context.note(`error ${status.error.code}: ${status.error.message}\n  fix: ${status.error.fix}\n`)
      return status.phase === 'finished' ? 0 : 1
    }
    await sleep(context.scheduler, ASK_MS)
  }
}
