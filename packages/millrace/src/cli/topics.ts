// `millrace topics`: lists topics, creates one, changes its settings, deletes it.
import { durationText, MillraceError, nearestWord } from '@millrace/core/engine'
import type { TopicCreated, TopicStatus } from '../api.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { bytesText, table } from './format.ts'
import { type Remote, withRemote } from './remote.ts'

const ACTIONS = ['create', 'set', 'delete'] as const

export const topics: Command = {
  name: 'topics',
  usage: '[create|set|delete NAME]',
  summary: 'Lists topics, creates one, changes its settings, deletes it.',
  options: [
    { name: 'partitions', value: 'N', summary: 'Partitions of a new topic; default 1.' },
    { name: 'retention-ms', value: 'MS', summary: 'Milliseconds that records are kept; `none` keeps them for ever.' },
    { name: 'retention-bytes', value: 'BYTES', summary: 'Bytes kept per partition; `none` is unlimited.' },
    { name: 'compacted', summary: 'A new topic keeps the newest record of each key.' },
    { name: 'batch-bytes-max', value: 'BYTES', summary: 'Largest batch that the topic takes.' },
    { name: 'internal', summary: 'Also list the topics of the plant itself.' },
  ],
  examples: [
    { line: 'npx millrace topics', does: 'what there is' },
    { line: 'npx millrace topics create orders --partitions 4 --retention-ms 604800000', does: 'four partitions, kept for a week' },
    { line: 'npx millrace topics set orders --retention-ms none', does: 'keep for ever' },
    { line: 'npx millrace topics delete orders', does: 'with all its records' },
  ],
  words: [0, 2],
  async run(context, invocation) {
    const [action, name] = invocation.words
    if (action === undefined) return withRemote(context, invocation, { create: false }, (remote) => list(context, invocation, remote))
    if (!(ACTIONS as readonly string[]).includes(action)) {
      const near = nearestWord(action, ACTIONS)
      throw new MillraceError('MR_CLI_USAGE', {
        message: `topics has no action \`${action}\`${near === null ? '' : `; did you mean \`${near}\`?`}`,
        fix: 'There are: create, set, delete.',
      })
    }
    if (name === undefined)
      throw new MillraceError('MR_CLI_USAGE', {
        message: `\`topics ${action}\` needs the name of a topic.`,
        fix: `npx millrace topics ${action} NAME`,
      })
    const settings = settingsOf(invocation)
    if (action === 'set' && Object.keys(settings).length === 0)
      throw new MillraceError('MR_CLI_USAGE', {
        message: '`topics set` has nothing to set.',
        fix: 'Say what is to change: --retention-ms, --retention-bytes or --batch-bytes-max.',
      })
    return withRemote(context, invocation, { create: action === 'create' }, async (remote) => {
      const { result, said } = await act(remote, action as (typeof ACTIONS)[number], name, settings)
      context.out(invocation.json ? `${JSON.stringify(result)}\n` : `${name} ${said}\n`)
      return 0
    })
  },
}

/** Does it, and says what happened to the topic. */
async function act(
  remote: Remote,
  action: (typeof ACTIONS)[number],
  name: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<{ readonly result: unknown; readonly said: string }> {
  const path = `/api/topics/${encodeURIComponent(name)}`
  if (action === 'set') return { result: await remote.json(`${path}/settings`, settings), said: 'changed' }
  if (action === 'delete') return { result: await remote.json(path, undefined, 'DELETE'), said: 'deleted' }
  const result = await remote.json<TopicCreated>(path, settings, 'PUT')
  return { result, said: result.created ? 'created' : 'exists already; nothing changed' }
}

async function list(context: CliContext, { options, json }: Invocation, remote: Remote): Promise<number> {
  const found = await remote.json<readonly TopicStatus[]>(`/topics${options['internal'] === true ? '?internal=true' : ''}`)
  if (json) for (const topic of found) context.out(`${JSON.stringify(topic)}\n`)
  else if (found.length === 0) context.out('no topics yet\n')
  else {
    context.out(
      table(
        ['topic', 'partitions', 'records', 'size', 'kept'],
        found.map(({ name, partitions, records, bytes, retentionMs, compacted }) => [
          name,
          String(partitions),
          countText(records),
          bytesText(bytes),
          compacted ? 'newest of each key' : retentionMs === null ? 'for ever' : durationText(retentionMs),
        ]),
      ),
    )
  }
  return 0
}

function settingsOf({ options }: Invocation): Readonly<Record<string, unknown>> {
  const number = (name: string): number | null | undefined => {
    const text = options[name]
    if (typeof text !== 'string') return undefined
    if (text === 'none') return null
    if (/^\d+$/.test(text)) return Number(text)
    throw new MillraceError('MR_CLI_USAGE', { message: `--${name} must be a whole number or \`none\`, not \`${text}\`.` })
  }
  const given = {
    partitions: number('partitions'),
    retentionMs: number('retention-ms'),
    retentionBytes: number('retention-bytes'),
    batchBytesMax: number('batch-bytes-max'),
    compacted: options['compacted'] === true ? true : undefined,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
