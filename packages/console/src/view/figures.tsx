import type { PlantStatus } from 'millrace/api'
import type { PipelineStatus } from '@millrace/core/engine'
import { minWatermark } from '../model/flow.ts'
import { formatBytes, formatCount, formatDuration, formatPlural, formatRate, formatClock, formatDay, formatWhole } from '../model/format.ts'
import { pipelineVisibleMs } from '../model/reasons.ts'

interface Figure {
  readonly label: string
  readonly value: string
  readonly note: string
  readonly tone?: 'warning' | 'bad'
}

function distinct(names: readonly (string | null)[]): readonly string[] {
  return [...new Set(names.filter((name) => name !== null))]
}

function figuresOf(status: PlantStatus, pipeline: PipelineStatus, letters: number): readonly Figure[] {
  const recordsOf = (names: readonly string[]): number =>
    status.topics.reduce((sum, topic) => sum + (names.includes(topic.name) ? topic.records : 0), 0)
  const rateOf = (names: readonly string[]): number => names.reduce((sum, name) => sum + (status.rates.topics[name] ?? 0), 0)
  const targets = (kind: string): readonly string[] =>
    distinct(pipeline.nodes.filter((node) => node.kind === kind).map((node) => node.target))
  const sources = targets('source')
  const outputs = targets('to-topic')
  const sum = (pick: (task: PipelineStatus['tasks'][number]) => number): number =>
    pipeline.tasks.reduce((total, task) => total + pick(task), 0)
  const lag = sum((task) => task.lag)
  const { memory } = status
  // A task that has no rows states no time, and holds nobody back.
  const watermarkMs = minWatermark(pipeline.tasks.filter((task) => task.watermarkMs > Number.NEGATIVE_INFINITY))
  const visibleMs = pipelineVisibleMs(pipeline)
  return [
    { label: 'Records in', value: formatWhole(recordsOf(sources)), note: `${formatRate(rateOf(sources))} · ${sources.join(', ')}` },
    ...outputs.slice(0, 2).map((name): Figure => ({
      label: 'Records out',
      value: formatWhole(recordsOf([name])),
      note: `${formatRate(rateOf([name]))} · ${name}`,
    })),
    {
      label: 'Dead letters',
      value: formatWhole(letters),
      note: letters === 0 ? 'none open' : 'by cause, below',
      ...(letters > 0 ? { tone: 'warning' as const } : {}),
    },
    { label: 'Lag', value: formatCount(lag), note: 'records behind' },
    {
      label: 'Freshness',
      value: visibleMs === null ? '–' : formatDuration(visibleMs),
      note: visibleMs === null ? 'no record came yet' : 'from append to query',
    },
    {
      label: 'Watermark',
      value: Number.isFinite(watermarkMs) ? formatClock(watermarkMs) : '–',
      note:
        watermarkMs === Number.POSITIVE_INFINITY
          ? 'at the end'
          : Number.isFinite(watermarkMs)
            ? `${formatDay(watermarkMs)} UTC`
            : 'no event time yet',
    },
    {
      label: 'State',
      value: formatBytes(sum((task) => task.stateBytes)),
      note: formatPlural(
        sum((task) => task.stateRows),
        'row',
      ),
    },
    {
      label: 'Memory',
      value: formatBytes(memory.residentBytes),
      // The budget bounds what is in flight and not the process, so the two are never compared: state, sinks and code come on top.
      note: `in flight ≤ ${formatBytes(memory.budgetBytes)}`,
    },
    diskFigure(status),
  ]
}

function diskFigure({ folder, disk }: PlantStatus): Figure {
  if (folder === null) return { label: 'Disk', value: 'none', note: 'kept in memory only', tone: 'warning' }
  const { freeBytes, reserveBytes } = disk
  const figure = { label: 'Disk free', value: formatBytes(freeBytes), note: `reserve ${formatBytes(reserveBytes)}` }
  if (freeBytes >= 2 * reserveBytes) return figure
  return { ...figure, tone: freeBytes < reserveBytes ? 'bad' : 'warning' }
}

interface FiguresProps {
  readonly status: PlantStatus
  readonly pipeline: PipelineStatus
  readonly letterCount: number
}

/** The totals: one glance says how much, how far behind, and what it costs. */
export function Figures({ status, pipeline, letterCount }: FiguresProps): React.ReactNode {
  return (
    <dl className="figures">
      {figuresOf(status, pipeline, letterCount).map(({ label, value, note, tone }) => (
        <div key={label} className="figure" data-tone={tone}>
          <dt>{label}</dt>
          <dd>
            <span className="figure-value">{value}</span>
            <span className="figure-note" title={note}>
              {note}
            </span>
          </dd>
        </div>
      ))}
    </dl>
  )
}
