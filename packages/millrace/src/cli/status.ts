// `millrace status`: what runs, how far each task and source has come, and what stands in the way.
import type { PlantStatus } from '../api.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command } from './context.ts'
import { bytesText, table, timeText } from './format.ts'
import { withRemote } from './remote.ts'

export const status: Command = {
  name: 'status',
  usage: '',
  summary: 'Shows pipelines, tasks with their worker, sources with their lag, and what stands in the way.',
  options: [],
  examples: [
    { line: 'npx millrace status', does: 'of the server that runs for ./millrace-data' },
    { line: 'npx millrace status --port 8080 --json', does: 'everything, as one JSON object' },
  ],
  words: [0, 0],
  run: (context, invocation) =>
    withRemote(context, invocation, { create: false }, async (remote) => {
      const text = await (await remote.send('/api/status')).text()
      if (invocation.json) context.out(`${text.trimEnd()}\n`)
      else show(context, await remote.json<PlantStatus>('/api/status'))
      return 0
    }),
}

/** What of the log somebody should know. */
function showLog(context: CliContext, log: PlantStatus['log']): void {
  if (log === null) return
  for (const { topic, partition, from, to, file } of log.quarantined)
    context.out(
      `put aside: ${topic}/${partition} offsets ${from} to ${to}, damaged in ${file}\n  fix: Stop the server and run \`npx millrace fsck\`.\n`,
    )
  if (log.requestKeysForgotten > 0)
    context.out(
      `${log.requestKeysForgotten} keys of requests were forgotten before their 24 hours\n  fix: Send larger batches, each with one key.\n`,
    )
  if (log.directWrites === 'refused') context.out('checkpoints go through the memory of files: the file system takes no direct writes\n')
}

function show(context: CliContext, { version, folder, pipelines, sources, memory, disk, log }: PlantStatus): void {
  context.out(
    `millrace ${version}, data in ${folder ?? 'memory'}, ${bytesText(memory.residentBytes)} resident, ${bytesText(disk.freeBytes)} free\n`,
  )
  showLog(context, log)
  for (const { pipeline, phase, tasks } of pipelines) {
    context.out(`\n${pipeline}: ${phase}\n`)
    const rows = tasks.map((task) => [
      task.task,
      task.worker === null ? 'main' : `worker ${task.worker}`,
      task.phase,
      countText(task.lag),
      timeText(task.watermarkMs),
      bytesText(task.stateBytes),
      countText(task.deadLetters),
    ])
    context.out(table(['task', 'thread', 'phase', 'lag', 'watermark', 'state', 'dead letters'], rows))
    for (const { task, error, openBecause } of tasks) {
      if (error !== null) context.out(`${task}: ${error.code} ${error.message}\n  fix: ${error.fix}\n`)
      else if (openBecause !== null) context.out(`${task}: ${openBecause}\n`)
    }
  }
  if (sources.length > 0) {
    const rows = sources.map((source) => [
      source.name,
      source.topic,
      source.phase,
      source.lag === null ? '-' : source.lagUnit === 'bytes' ? bytesText(source.lag) : countText(source.lag),
      countText(source.records),
    ])
    context.out(`\n${table(['source', 'topic', 'phase', 'lag', 'records'], rows)}`)
    for (const { name, error } of sources) if (error !== null) context.out(`${name}: ${error.code} ${error.message}\n  fix: ${error.fix}\n`)
  }
  if (pipelines.length === 0 && sources.length === 0) context.out('nothing runs here\n')
}
