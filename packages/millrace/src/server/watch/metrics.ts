// Metrics in the text format of Prometheus, made from the same status that the page shows.
import type { TaskStatus } from '@millrace/core/engine'
import type { PlantStatus } from '../../api.ts'
import { tableFreshness } from './freshness.ts'
import type { Collector } from '../collect/collector.ts'

type Labels = Readonly<Record<string, string | number>>

class Text {
  readonly #lines: string[] = []

  family(name: string, type: 'counter' | 'gauge', help: string, samples: Iterable<readonly [Labels, number]>): void {
    const lines: string[] = []
    for (const [labels, value] of samples) lines.push(`${name}${labelText(labels)} ${valueText(value)}`)
    if (lines.length > 0) this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines)
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${String(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function valueText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

/** The metrics of a plant. */
export function metricsText(status: PlantStatus, collector: Pick<Collector, 'figures' | 'inFlightBytes'>): string {
  const text = new Text()
  plantMetrics(text, status, collector)
  topicMetrics(text, status)
  taskMetrics(text, status)
  nodeMetrics(text, status)
  sourceMetrics(text, status)
  return text.toString()
}

function plantMetrics(text: Text, status: PlantStatus, { figures, inFlightBytes }: Pick<Collector, 'figures' | 'inFlightBytes'>): void {
  text.family('millrace_info', 'gauge', 'Version of the server.', [[{ version: status.version }, 1]])
  text.family('millrace_start_time_seconds', 'gauge', 'When the server started.', [[{}, status.startedAtMs / 1000]])
  text.family('millrace_memory_bytes', 'gauge', 'Memory of the process.', [
    [{ kind: 'resident' }, status.memory.residentBytes],
    [{ kind: 'heap' }, status.memory.heapBytes],
    [{ kind: 'budget' }, status.memory.budgetBytes],
  ])
  text.family('millrace_disk_free_bytes', 'gauge', 'Free space where the log is.', [[{}, status.disk.freeBytes]])
  text.family('millrace_disk_reserve_bytes', 'gauge', 'Free space below which the collector answers 507.', [[{}, status.disk.reserveBytes]])
  text.family('millrace_log_quarantined', 'gauge', 'Ranges of records that were put aside because their journal entry is damaged.', [
    [{}, status.log?.quarantined.length ?? 0],
  ])
  text.family('millrace_log_request_keys', 'gauge', 'Keys of requests that are remembered.', [[{}, status.log?.requestKeys ?? 0]])
  text.family('millrace_log_request_keys_forgotten_total', 'counter', 'Keys of requests that were forgotten before their 24 hours.', [
    [{}, status.log?.requestKeysForgotten ?? 0],
  ])
  const direct = status.log?.directWrites ?? null
  text.family(
    'millrace_log_direct_writes',
    'gauge',
    "1 while checkpoints go around the system's memory of files, 0 where the file system does not take that.",
    direct === null ? [] : [[{}, direct === 'taken' ? 1 : 0]],
  )
  text.family('millrace_collector_requests_total', 'counter', 'Requests to the collector.', [[{}, figures.requests]])
  text.family('millrace_collector_refused_total', 'counter', 'Requests that were refused.', [[{}, figures.refused]])
  text.family('millrace_collector_repeated_total', 'counter', 'Requests whose idempotency key was known.', [[{}, figures.repeated]])
  text.family('millrace_collector_events_total', 'counter', 'Events that were appended.', [[{}, figures.events]])
  text.family('millrace_collector_bytes_total', 'counter', 'Bytes of bodies that were appended, decompressed.', [[{}, figures.bytes]])
  text.family('millrace_collector_in_flight_bytes', 'gauge', 'Bytes that wait to become durable.', [[{}, inFlightBytes]])
}

function topicMetrics(text: Text, { topics, rates }: PlantStatus): void {
  text.family(
    'millrace_topic_records',
    'gauge',
    'Records kept.',
    topics.map((topic) => [{ topic: topic.name }, topic.records]),
  )
  text.family(
    'millrace_topic_bytes',
    'gauge',
    'Bytes kept.',
    topics.map((topic) => [{ topic: topic.name }, topic.bytes]),
  )
  text.family(
    'millrace_topic_records_per_second',
    'gauge',
    'Records appended per second.',
    topics.map((topic) => [{ topic: topic.name }, rates.topics[topic.name] ?? 0]),
  )
}

type TaskFigure = readonly [name: string, type: 'counter' | 'gauge', help: string, pick: (task: TaskStatus) => number]

const TASK_FIGURES: readonly TaskFigure[] = [
  ['running', 'gauge', '1 while the task runs.', (task) => (task.phase === 'running' ? 1 : 0)],
  ['lag_records', 'gauge', 'Records behind, over all inputs.', (task) => task.lag],
  ['watermark_seconds', 'gauge', 'Event time up to which the task is complete.', (task) => task.watermarkMs / 1000],
  ['state_rows', 'gauge', 'Rows of state.', (task) => task.stateRows],
  ['state_bytes', 'gauge', 'Bytes of state.', (task) => task.stateBytes],
  ['commits_total', 'counter', 'Commits.', (task) => task.commits],
  ['commit_seconds', 'gauge', 'Time of the newest commit.', (task) => task.commitMsLast / 1000],
  ['commit_seconds_max', 'gauge', 'Longest commit since the task started.', (task) => task.commitMsMax / 1000],
  ['rows_in_total', 'counter', 'Rows read.', (task) => task.rowsIn],
  ['rows_out_total', 'counter', 'Rows written.', (task) => task.rowsOut],
  ['dead_letters_total', 'counter', 'Rows that went to the dead letters.', (task) => task.deadLetters],
]

function taskMetrics(text: Text, { pipelines }: PlantStatus): void {
  const tasks = pipelines.flatMap(({ pipeline, tasks: own }) => own.map((task) => ({ task, labels: { pipeline, task: task.task } })))
  for (const [name, type, help, pick] of TASK_FIGURES) {
    text.family(
      `millrace_task_${name}`,
      type,
      help,
      tasks.map(({ task, labels }) => [labels, pick(task)]),
    )
  }
  const inputs = tasks.flatMap(({ task, labels }) => task.inputs.map((input) => [{ ...labels, input: input.input }, input.lag] as const))
  text.family('millrace_input_lag_records', 'gauge', 'Records behind on one input.', inputs)
  const waiting = tasks.flatMap(({ task, labels }) =>
    task.inputs.map(({ input, waitingMs = 0 }) => [{ ...labels, input }, waitingMs / 1000] as const),
  )
  text.family(
    'millrace_input_waiting_seconds',
    'gauge',
    'How long the oldest record that is not committed yet waits at one input.',
    waiting,
  )
  const visible = tasks.flatMap(({ task, labels }) => (task.visibleMs === null ? [] : [[labels, task.visibleMs / 1000] as const]))
  text.family(
    'millrace_task_visible_seconds',
    'gauge',
    'How long the oldest record of the newest commit had waited since its append.',
    visible,
  )
  const lost = tasks.flatMap(({ task, labels }) =>
    task.inputs
      .filter(({ kind }) => kind === 'source')
      .map(
        (input) =>
          [{ ...labels, input: input.input }, input.partitions.reduce((sum, partition) => sum + (partition.lost ?? 0), 0)] as const,
      ),
  )
  text.family('millrace_input_records_lost_total', 'counter', 'Records of a source that retention removed before they were read.', lost)
}

function nodeMetrics(text: Text, { pipelines, rates, nowMs }: PlantStatus): void {
  const nodes = pipelines.flatMap(({ pipeline, nodes: own }) => own.map((node) => ({ node, labels: { pipeline, operator: node.name } })))
  const each = (pick: (node: (typeof nodes)[number]['node']) => number): readonly (readonly [Labels, number])[] =>
    nodes.map(({ node, labels }) => [labels, pick(node)])
  text.family(
    'millrace_operator_rows_in_total',
    'counter',
    'Rows that reached the operator.',
    each((node) => node.counters.rowsIn),
  )
  text.family(
    'millrace_operator_rows_out_total',
    'counter',
    'Rows that left it.',
    each((node) => node.counters.rowsOut),
  )
  text.family(
    'millrace_operator_rows_late_total',
    'counter',
    'Rows that came behind the watermark.',
    each((node) => node.counters.rowsLate),
  )
  text.family(
    'millrace_operator_rows_dropped_total',
    'counter',
    'Rows that it dropped: filtered, duplicates, without a match.',
    each((node) => node.counters.rowsDropped),
  )
  text.family(
    'millrace_operator_rows_per_second',
    'gauge',
    'Rows that reached the operator, per second.',
    each((node) => rates.nodes[node.name] ?? 0),
  )
  const tables = pipelines.flatMap(({ pipeline, tables: own }) =>
    own.map((table) => [{ pipeline, table: table.name }, table.rows] as const),
  )
  text.family('millrace_table_rows', 'gauge', 'Rows of a live table.', tables)
  const fresh = pipelines.flatMap((pipeline) =>
    Array.from(tableFreshness(pipeline, nowMs)).flatMap(([table, seconds]) =>
      seconds === null ? [] : [[{ pipeline: pipeline.pipeline, table }, seconds] as const],
    ),
  )
  text.family(
    'millrace_table_freshness_seconds',
    'gauge',
    'How long the oldest record on its way into the table waits since its append; when none is, how long the newest took.',
    fresh,
  )
}

function sourceMetrics(text: Text, { sources }: PlantStatus): void {
  const each = (pick: (source: PlantStatus['sources'][number]) => number): readonly (readonly [Labels, number])[] =>
    sources.map((source) => [{ source: source.name, topic: source.topic }, pick(source)])
  text.family(
    'millrace_source_running',
    'gauge',
    '0 while the source fails or waits for room in the log.',
    each(({ phase }) => (phase === 'failed' || phase === 'retrying' || phase === 'full' ? 0 : 1)),
  )
  text.family(
    'millrace_source_records_total',
    'counter',
    'Records that the source appended since the start.',
    each(({ records }) => records),
  )
  text.family(
    'millrace_source_records_per_second',
    'gauge',
    'Records that the source appends per second.',
    each(({ recordsPerSecond }) => recordsPerSecond),
  )
  const lags = sources.flatMap(({ name, topic, lag, lagUnit }) =>
    lag === null ? [] : [[{ source: name, topic, unit: lagUnit }, lag] as const],
  )
  text.family('millrace_source_lag', 'gauge', 'How far the source is behind, in its own unit.', lags)
}
