// Whether a plant does its job, part by part, each with its reasons and what to do. Nothing of anybody's data is in it: no token is asked for.
import { type ErrorCode, ERRORS, type PipelineStatus, type SourceStatus } from '@millrace/core/engine'
import type { HealthAnswer, HealthPart, HealthReason, HealthStatus, PlantStatus } from '../../api.ts'
import { VERSION } from '../../version.ts'

export interface HealthFacts extends Pick<PlantStatus, 'folder' | 'pipelines' | 'sources' | 'disk' | 'log'> {
  /** Topics are there and the collector answers. */
  readonly isCollecting: boolean
  readonly isStopping: boolean
  /** Pipelines that are to run, also those that are not known yet. */
  readonly wanted: readonly string[]
}

/** Ranges that are named; more are as bad. */
const QUARANTINED_MAX = 20

/** How the plant is. */
export function healthOf(facts: HealthFacts): HealthAnswer {
  const parts = [
    collectorPart(facts),
    logPart(facts),
    ...facts.wanted.map((name) => pipelinePart(name, facts)),
    ...facts.sources.map(sourcePart),
  ]
  const isBad = parts.some(({ status }) => status !== 'ok')
  return {
    status: parts[0]?.status === 'down' ? 'down' : isBad ? 'degraded' : 'ok',
    millrace: { version: VERSION, pid: process.pid, folder: facts.folder },
    parts,
  }
}

/** Without what only those need who may read anything else: which process it is, and where its data lies. */
export function forStrangers(answer: HealthAnswer): HealthAnswer {
  return { ...answer, millrace: { ...answer.millrace, pid: null, folder: null } }
}

function collectorPart({ isCollecting, isStopping, disk, log }: HealthFacts): HealthPart {
  const reasons: HealthReason[] = []
  if (isStopping) reasons.push(reason('MR_LOG_CLOSED'))
  else if (!isCollecting) reasons.push(reason('MR_SERVER_STARTING'))
  if (log?.error) reasons.push(reason(log.error.code))
  if (disk.freeBytes < disk.reserveBytes) reasons.push(reason('MR_DISK_FULL'))
  return partOf('collector', null, reasons, 'down')
}

function logPart({ log }: HealthFacts): HealthPart {
  const reasons = (log?.quarantined ?? [])
    .slice(0, QUARANTINED_MAX)
    .map(({ topic, partition }) => ({ ...reason('MR_LOG_QUARANTINED'), topic, partition }))
  return partOf('log', null, reasons, 'degraded')
}

function pipelinePart(name: string, { pipelines }: HealthFacts): HealthPart {
  const found = pipelines.find(({ pipeline }) => pipeline === name)
  return partOf('pipeline', name, found === undefined ? [reason('MR_SERVER_STARTING')] : taskReasons(found), 'degraded')
}

function taskReasons({ tasks }: PipelineStatus): readonly HealthReason[] {
  return tasks.flatMap(({ task, phase, error, inputs }) => {
    const stuck = inputs.flatMap(({ input, partitions }) =>
      partitions
        .filter((partition) => partition.error !== null)
        .map(({ partition, errorCode }) => ({ ...reason(errorCode ?? 'MR_RUNTIME_TASK_FAILED'), task, topic: input, partition })),
    )
    if (phase === 'opening') return [{ ...reason('MR_SERVER_STARTING'), task }, ...stuck]
    if (phase === 'failed' || phase === 'paused' || phase === 'crashed')
      return [{ ...reason(error?.code ?? 'MR_RUNTIME_TASK_FAILED'), task }, ...stuck]
    return stuck
  })
}

function sourcePart({ name, phase, error }: SourceStatus): HealthPart {
  const isBad = phase === 'failed' || phase === 'retrying' || phase === 'full'
  return partOf('source', name, isBad ? [reason(error?.code ?? 'MR_LOG_FULL')] : [], 'degraded')
}

function partOf(part: HealthPart['part'], name: string | null, reasons: readonly HealthReason[], worst: HealthStatus): HealthPart {
  return { part, name, status: reasons.length === 0 ? 'ok' : worst, reasons }
}

function reason(code: string): HealthReason {
  const known = code in ERRORS ? ERRORS[code as ErrorCode] : ERRORS.MR_RUNTIME_TASK_FAILED
  return { code, message: known.summary, fix: known.fix }
}
