// `millrace plan FILE`: what a pipeline is, what it promises, and what starting it would change, before anything runs.
import { existsSync } from 'node:fs'
import type { PipelineDefinition } from '@millrace/core'
import {
  checkFileTables,
  describePlan,
  diffPlans,
  isLoss,
  isMillraceError,
  isRefused,
  isStateChange,
  outputsText,
  ownTopics,
  type PlanChange,
  type PlanOutputs,
  rowsAgain,
  type RowsAgain,
  serializePlan,
} from '@millrace/core/engine'
import type { PlantStatus, TopicStatus } from '../api.ts'
import type { StartedPlan } from '../server/pipelines/plan-store.ts'
import { logFolder } from '../server/defaults.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { type Definitions, loadDefinitions } from './load-definitions.ts'
import { findServer, type Remote, withRemote } from './remote.ts'

const SIGNS: Readonly<Record<PlanChange['kind'], string>> = {
  'state-kept': '=',
  'state-rebuilt': '~',
  'state-lost': '-',
  'state-new': '+',
  'rows-left': '-',
  'operator-new': '+',
  'operator-gone': '-',
  'operator-changed': '~',
  'topic-missing': '+',
  'topic-differs': '!',
  'schema-changed': '~',
  'setting-changed': '~',
  refused: '!',
}

interface PlanAnswer extends StartedPlan {
  /** Batches that wait for a sink. */
  readonly unshipped: Readonly<Record<string, number>>
  readonly outputs: PlanOutputs
}

export const plan: Command = {
  name: 'plan',
  usage: 'FILE',
  summary: 'Shows topology, guarantee and state of a file, and what starting it would keep, rebuild or lose. Runs nothing.',
  options: [{ name: 'shapes', summary: 'Show the columns of each operator.' }],
  examples: [
    { line: 'npx millrace plan pipeline.ts', does: 'against what ran last on ./millrace-data' },
    { line: 'npx millrace plan pipeline.ts --json', does: 'for scripts: one object per pipeline' },
  ],
  words: [1, 1],
  async run(context, invocation) {
    const definitions = await loadDefinitions(invocation.words[0] as string, context, invocation)
    for (const definition of definitions.pipelines) checkFileTables(definition.plan, context.disk)
    const isKnown = findServer(invocation) !== null || existsSync(logFolder(invocation.settings.data))
    if (!isKnown) return show(context, invocation, definitions, null)
    return withRemote(context, invocation, { create: false }, (remote) => show(context, invocation, definitions, remote))
  },
}

/** What the log has of a pipeline; null when it was never started there. */
async function lastStarted(remote: Remote, name: string): Promise<PlanAnswer | null> {
  try {
    return await remote.json<PlanAnswer>(`/api/pipelines/${encodeURIComponent(name)}/plan`)
  } catch (error) {
    if (isMillraceError(error) && error.code === 'MR_SERVER_PIPELINE_UNKNOWN') return null
    throw error
  }
}

async function show(context: CliContext, { json, options }: Invocation, definitions: Definitions, remote: Remote | null): Promise<number> {
  let refused = false
  const listed = remote === null ? [] : await remote.json<readonly TopicStatus[]>('/topics')
  const topics = new Map(listed.map((topic) => [topic.name, topic]))
  const records = new Map(listed.map((topic) => [topic.name, topic.records]))
  for (const { name, plan: wanted, warnings } of definitions.pipelines) {
    const before = remote === null ? null : await lastStarted(remote, name)
    const unshipped = new Map(Object.entries(before?.unshipped ?? {}))
    const changes = diffPlans(before?.plan ?? null, serializePlan(wanted), { topics, unshipped })
    const isPipelineRefused = changes.some(isRefused)
    refused ||= isPipelineRefused
    const again = rowsAgain(wanted, before?.outputs ?? null)
    if (json) {
      const rebuild = changes.some(isStateChange) ? { ...again, records: recordsOf(again, records) } : null
      context.out(
        `${JSON.stringify({ pipeline: name, plan: serializePlan(wanted), guarantees: guarantees(wanted), warnings, changes, refused: isPipelineRefused, rebuild })}\n`,
      )
      continue
    }
    context.out(describePlan(wanted, { root: context.cwd, shapes: options['shapes'] === true }))
    for (const { output, guarantee } of guarantees(wanted)) context.out(`  ${output}: ${guarantee}\n`)
    for (const warning of warnings) context.out(`  warning: ${warning.message}${warning.place === null ? '' : ` (${warning.place})`}\n`)
    context.out(changesText(changes, before === null))
    context.out(refusalText(changes, again, recordsOf(again, records), ownTopics(wanted)))
  }
  await showSources(context, json, definitions.sources, remote)
  return refused ? 1 : 0
}

/** Sources stand beside the pipelines: what each fills, and where it will begin. */
async function showSources(context: CliContext, json: boolean, sources: Definitions['sources'], remote: Remote | null): Promise<void> {
  const known = remote === null ? [] : (await remote.json<PlantStatus>('/api/status')).topics.map(({ name }) => name)
  const before = known.flatMap((name) => /^__source\.(.+)\.position$/.exec(name)?.[1] ?? [])
  for (const { name, topic, connector } of sources) {
    const begins = before.includes(name) ? 'continues behind its last commit' : 'begins at the start'
    if (json)
      context.out(
        `${JSON.stringify({ source: name, topic: topic.name, connector: connector.spec.type, settings: connector.settings, begins })}\n`,
      )
    else
      context.out(
        `source ${name}: ${connector.spec.type} ${settingsText(connector.settings)} into topic ${topic.name}, exactly once; ${begins}\n`,
      )
  }
  const gone = before.filter((name) => !sources.some((source) => source.name === name))
  if (json) return
  for (const name of gone) context.out(`source ${name}: ran on this data before and is not in the file; its position is kept\n`)
}

function settingsText(settings: Readonly<Record<string, unknown>>): string {
  const { path, ...rest } = settings
  const named = Object.entries(rest).filter(([, value]) => value !== null && value !== false)
  return [
    ...(typeof path === 'string' ? [path] : Array.isArray(path) ? path.map(String) : []),
    ...named.map(([name, value]) => `${name}=${JSON.stringify(value)}`),
  ].join(' ')
}

function changesText(changes: readonly PlanChange[], isNew: boolean): string {
  const lines = [isNew ? 'has not run on this data; starting it makes:' : 'against what ran last:']
  for (const { kind, message, advice, place } of changes) {
    lines.push(`  ${SIGNS[kind]} ${message}${place === null || kind === 'state-kept' ? '' : ` (${place})`}`)
    if (advice !== null) lines.push(`      ${advice}`)
  }
  if (changes.length === 0) lines.push('  nothing changes')
  return `${lines.join('\n')}\n`
}

/** Records that a rebuild reads again. */
function recordsOf({ sources }: RowsAgain, records: ReadonlyMap<string, number>): number {
  return sources.reduce((sum, topic) => sum + (records.get(topic) ?? 0), 0)
}

/** What the next start says to these changes, and what each way on costs. */
function refusalText(changes: readonly PlanChange[], again: RowsAgain, records: number, own: readonly string[]): string {
  const lines: string[] = []
  if (changes.some(isStateChange)) {
    const outputs = outputsText(again)
    const read = `${countText(records)} ${records === 1 ? 'record' : 'records'} of ${again.sources.map((topic) => `\`${topic}\``).join(' and ')}`
    const noticed = outputs === null ? 'only tables are made of them.' : `${outputs} get their rows a second time.`
    lines.push('`start` refuses this as it is:')
    if (own.length === 0) lines.push(`  --rebuild reads ${read} again; ${noticed}`)
    else lines.push(`  --rebuild cannot: the pipeline reads ${own.map((topic) => `\`${topic}\``).join(', ')}, which it writes itself.`)
    if (changes.some(isLoss)) lines.push('  --drop-state gives up what is lost above.')
  } else if (changes.some(isRefused)) lines.push('`start` refuses this.')
  return lines.map((line) => `${line}\n`).join('')
}

/** What each output promises: inside the plant exactly once; a sink says for itself. */
function guarantees({ nodes }: PipelineDefinition['plan']): readonly { readonly output: string; readonly guarantee: string }[] {
  return nodes.flatMap((node) => {
    if (node.kind === 'to-table') return [{ output: `table ${node.table}`, guarantee: 'exactly once' }]
    if (node.kind === 'to-topic') return [{ output: `topic ${node.topic.name}`, guarantee: 'exactly once' }]
    if (node.kind === 'to-sink')
      return [
        {
          output: `sink ${node.name}`,
          guarantee: node.sink.guarantee === 'at-least-once' ? 'at least once' : `exactly once (${node.sink.guarantee})`,
        },
      ]
    return []
  })
}
