// `millrace dlq`: dead letters by cause, one by one with their bytes, back into the pipeline, or out of sight.
import { MillraceError, nearestWord } from '@millrace/core/engine'
import type { DeadLetterGroup, DeadLetterView, DiscardAnswer, RetryAnswer } from '../api.ts'
import { encodeJson } from '../json.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { table, timeText } from './format.ts'
import { type Remote, withRemote } from './remote.ts'

/** The flags of each action: one that it would ignore is refused, since whoever typed it meant fewer letters. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  list: ['code', 'operator'],
  show: ['code', 'operator', 'id', 'closed', 'limit'],
  retry: ['code', 'operator', 'id', 'all'],
  discard: ['code', 'operator', 'id', 'all'],
}
const FILTERS = ['code', 'operator', 'id'] as const

export const dlq: Command = {
  name: 'dlq',
  usage: 'list | show PIPELINE | retry PIPELINE | discard PIPELINE',
  summary: 'Dead letters: groups by cause, the letters themselves, back into the operator that failed, or discarded.',
  options: [
    { name: 'code', value: 'MR_CODE', summary: 'Only letters with this error code.' },
    { name: 'operator', value: 'NAME', summary: 'Only letters of this operator.' },
    { name: 'id', value: 'ID', summary: 'One letter, or several separated by commas.' },
    { name: 'limit', short: 'n', value: 'N', summary: 'Letters to show, the oldest first; default 10.' },
    { name: 'closed', summary: 'With `show`: also letters that were retried or discarded.' },
    { name: 'all', summary: 'Retry or discard every letter of the pipeline; beside no other filter.' },
  ],
  examples: [
    { line: 'npx millrace dlq list', does: 'what went wrong, by cause' },
    { line: 'npx millrace dlq show flights --code MR_CODEC_JSON_INVALID -n 3', does: 'three letters with their bytes' },
    { line: 'npx millrace dlq show flights --id 7,9', does: 'these two, also when they are closed' },
    { line: 'npx millrace dlq retry flights --operator enrich', does: 'send back what failed there' },
    { line: 'npx millrace dlq discard flights --code MR_TIME_LATE', does: 'close what nobody wants back; it stays on its topic' },
  ],
  words: [1, 2],
  async run(context, invocation) {
    const [action = '', pipeline] = invocation.words
    requireFlags(action, invocation)
    return withRemote(context, invocation, { create: false }, (remote) => {
      if (action === 'list') return list(context, invocation, remote, pipeline)
      if (pipeline === undefined)
        throw new MillraceError('MR_CLI_USAGE', {
          message: `\`dlq ${action}\` needs the name of a pipeline.`,
          fix: `npx millrace dlq ${action} PIPELINE; \`npx millrace dlq list\` has the names.`,
        })
      if (action === 'show') return show(context, invocation, remote, pipeline)
      return action === 'retry' ? retry(context, invocation, remote, pipeline) : discard(context, invocation, remote, pipeline)
    })
  },
}

/** Throws MR_CLI_USAGE for an action that there is not, and for flags that it does not take or that contradict each other. */
function requireFlags(action: string, { options }: Invocation): void {
  const known = Object.hasOwn(FLAGS, action) ? FLAGS[action] : undefined
  if (known === undefined) {
    const near = nearestWord(action, Object.keys(FLAGS))
    throw new MillraceError('MR_CLI_USAGE', {
      message: `dlq has no action \`${action}\`${near === null ? '' : `; did you mean \`${near}\`?`}`,
      fix: `There are: ${Object.keys(FLAGS).join(', ')}.`,
    })
  }
  const useless = dlq.options.find(({ name }) => options[name] !== undefined && !known.includes(name))
  if (useless !== undefined)
    throw new MillraceError('MR_CLI_USAGE', {
      message: `\`dlq ${action}\` has no use for \`--${useless.name}\`.`,
      fix: `It takes ${known.map((name) => `--${name}`).join(', ')}.`,
    })
  const filter = FILTERS.find((name) => options[name] !== undefined)
  if (options['all'] === true && filter !== undefined)
    throw new MillraceError('MR_CLI_USAGE', {
      message: `\`--all\` means every letter, and \`--${filter}\` only some; nothing was done.`,
      fix: `Leave out one of them: \`--${filter}\` alone takes all the letters that fit it.`,
    })
  if (options['id'] !== undefined && options['limit'] !== undefined)
    throw new MillraceError('MR_CLI_USAGE', {
      message: '`--id` names the letters, and `--limit` has none to leave out.',
      fix: 'Leave out one of them.',
    })
}

async function list(context: CliContext, invocation: Invocation, remote: Remote, pipeline: string | undefined): Promise<number> {
  const { json } = invocation
  const groups = (await groupsOf(remote, pipeline)).filter((group) => isWanted(group, invocation))
  if (groups.length === 0 && isFiltered(invocation)) return sayNone(context, invocation, remote, pipeline)
  if (json) for (const group of groups) context.out(`${encodeJson(group)}\n`)
  else if (groups.length === 0) context.out('no dead letters\n')
  else {
    const rows = groups.map(({ pipeline: name, operator, code, count, lastAtMs, sample }) => [
      name,
      operator,
      code,
      countText(count),
      timeText(lastAtMs),
      sampleText(sample.message, context.isTerminal),
    ])
    context.out(table(['pipeline', 'operator', 'code', 'letters', 'last', 'sample'], rows))
  }
  return 0
}

/** Characters of a sample that still stand in a line of a terminal. */
const SAMPLE_CHARACTERS = 80

/** A message of the list: on a terminal not more than a line may hold. */
export function sampleText(message: string, isTerminal: boolean): string {
  const characters = isTerminal ? Array.from(message) : []
  return characters.length > SAMPLE_CHARACTERS ? `${characters.slice(0, SAMPLE_CHARACTERS - 1).join('')}…` : message
}

function ids({ options }: Invocation): readonly number[] | null {
  const text = options['id']
  if (typeof text !== 'string') return null
  const numbers = text.split(',').map((id) => (/^ *\d+ *$/.test(id) ? Number(id) : Number.NaN))
  if (numbers.every(Number.isSafeInteger)) return numbers
  throw new MillraceError('MR_CLI_USAGE', { message: `--id must be whole numbers separated by commas, not \`${text}\`.` })
}

function filterOf({ options }: Invocation): Readonly<Record<string, string>> {
  return Object.fromEntries(['code', 'operator'].flatMap((name) => (typeof options[name] === 'string' ? [[name, options[name]]] : [])))
}

/** Whether a letter, or a group of them, has the code and the operator that were asked for. */
function isWanted({ code, operator }: Pick<DeadLetterView, 'code' | 'operator'>, { options }: Invocation): boolean {
  return (options['code'] ?? code) === code && (options['operator'] ?? operator) === operator
}

function isFiltered({ options }: Invocation): boolean {
  return FILTERS.some((name) => options[name] !== undefined)
}

const SHOWN = 10

async function show(context: CliContext, invocation: Invocation, remote: Remote, pipeline: string): Promise<number> {
  const { options, json } = invocation
  const read = (query: Readonly<Record<string, string>>): Promise<readonly DeadLetterView[]> =>
    remote.json(`/api/dead-letters/${encodeURIComponent(pipeline)}?${new URLSearchParams(query).toString()}`)
  const wanted = ids(invocation)
  const state = options['closed'] === true ? {} : { state: 'open' }
  const query = { ...filterOf(invocation), ...state }
  const limit = String(options['limit'] ?? SHOWN)
  const letters = wanted === null ? await read({ ...query, limit }) : await named(wanted, invocation, read)
  for (const letter of letters) context.out(json ? `${encodeJson(letter)}\n` : letterText(letter))
  if (letters.length === 0 && isFiltered(invocation)) return sayNone(context, invocation, remote, pipeline)
  if (json || wanted !== null) return 0
  const count = letters.length
  if (options['closed'] === true) {
    const more = count < Number(limit) ? [] : await read({ ...query, from: String((letters.at(-1)?.id ?? 0) + 1), limit: '1' })
    context.out(count === 0 ? 'no letters\n' : `${plural(count, 'letter')}${more.length === 0 ? '' : '; there are more: `-n`'}\n`)
    return 0
  }
  if (count === 0) context.out('no open letters\n')
  else {
    const groups = (await groupsOf(remote, pipeline)).filter((group) => isWanted(group, invocation))
    // Letters may have come, or been closed, since they were read.
    const open = Math.max(
      count,
      groups.reduce((sum, group) => sum + group.count, 0),
    )
    context.out(`${count} of ${plural(open, 'open letter')}${count === open ? '' : '; `-n` shows more'}\n`)
  }
  return 0
}

/** Letters by id, open or not: whoever names one wants to see it. */
async function named(
  wanted: readonly number[],
  invocation: Invocation,
  read: (query: Readonly<Record<string, string>>) => Promise<readonly DeadLetterView[]>,
): Promise<readonly DeadLetterView[]> {
  const letters: DeadLetterView[] = []
  for (const id of wanted)
    letters.push(...(await read({ from: String(id), limit: '1' })).filter((letter) => letter.id === id && isWanted(letter, invocation)))
  return letters
}

function plural(count: number, what: string): string {
  return `${countText(count)} ${what}${count === 1 ? '' : 's'}`
}

function letterText(letter: DeadLetterView): string {
  const { id, code, operator, message, fix, place, topic, partition, offset, atMs, attempt, text, base64, state } = letter
  return [
    `letter ${id}  ${timeText(atMs)}  ${code} at \`${operator}\`, attempt ${attempt}${state === 'open' ? '' : `, ${state}`}`,
    `  ${message}`,
    ...(place === null ? [] : [`  at ${place}`]),
    `  fix: ${fix}`,
    ...(offset < 0 ? [] : [`  record ${topic}/${partition} offset ${offset}`]),
    `  ${text ?? `base64 ${base64 ?? ''}`}`,
    '',
  ].join('\n')
}

/** What `retry` and `discard` ask the server for: one request whose filters narrow each other, or with --all one per group. */
async function requestsOf(invocation: Invocation, remote: Remote, pipeline: string): Promise<readonly object[]> {
  if (invocation.options['all'] === true) return (await groupsOf(remote, pipeline)).map(({ code, operator }) => ({ code, operator }))
  const wanted = ids(invocation)
  const filter = filterOf(invocation)
  if (wanted === null && Object.keys(filter).length === 0) {
    throw new MillraceError('MR_CLI_USAGE', {
      message: 'say which letters.',
      fix: 'Give --code, --operator or --id; or --all for every letter.',
    })
  }
  return [{ ...filter, ...(wanted === null ? {} : { ids: wanted }) }]
}

function groupsOf(remote: Remote, pipeline: string | undefined): Promise<readonly DeadLetterGroup[]> {
  return remote.json(`/api/dead-letters${pipeline === undefined ? '' : `?pipeline=${encodeURIComponent(pipeline)}`}`)
}

async function discard(context: CliContext, invocation: Invocation, remote: Remote, pipeline: string): Promise<number> {
  const path = `/api/dead-letters/${encodeURIComponent(pipeline)}/discard`
  let discarded = 0
  for (const request of await requestsOf(invocation, remote, pipeline))
    discarded += (await remote.json<DiscardAnswer>(path, request)).discarded
  context.out(
    invocation.json ? `${JSON.stringify({ discarded })}\n` : `${discarded} ${discarded === 1 ? 'letter is' : 'letters are'} discarded\n`,
  )
  return discarded === 0 ? sayNone(context, invocation, remote, pipeline) : 0
}

/** Nothing fitted: says what there is, so that a wrong code or name is seen. `--all` of nothing is done. Returns the exit code. */
async function sayNone(context: CliContext, { options, json }: Invocation, remote: Remote, pipeline: string | undefined): Promise<number> {
  if (options['all'] === true) return 0
  const groups = await groupsOf(remote, pipeline)
  const there = groups.map(({ code, operator, count }) => `${count} ${code} at \`${operator}\``).join(', ')
  if (!json) context.note(`no open letter fits; there ${groups.length === 0 ? 'are none' : `is: ${there}`}\n`)
  return 1
}

async function retry(context: CliContext, invocation: Invocation, remote: Remote, pipeline: string): Promise<number> {
  const path = `/api/dead-letters/${encodeURIComponent(pipeline)}/retry`
  let moved = 0
  let others = 0
  for (const request of await requestsOf(invocation, remote, pipeline)) {
    const answer = await remote.json<RetryAnswer>(path, request)
    moved += answer.moved
    for (const { reason, count } of answer.refused) {
      others += count
      context.note(`${count} cannot be retried: ${reason}\n`)
    }
  }
  context.out(
    invocation.json
      ? `${JSON.stringify({ moved, refused: others })}\n`
      : `${moved} ${moved === 1 ? 'letter is' : 'letters are'} on the way back in\n`,
  )
  if (moved > 0) return 0
  return others > 0 ? 1 : sayNone(context, invocation, remote, pipeline)
}
