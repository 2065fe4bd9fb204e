// Whether a dead letter may go back in, as far as the stored plans tell. The task that takes it in has the last word
// (core, runtime/task/retry-input.ts) and sends it back with the reason; asked here, too, so that whoever retries hears it at once.
import { type DeadLetterHead, layoutText, type StoredPlan, undeliveredReason } from '@millrace/core/engine'
import type { StartedPlan } from '../pipelines/plan-store.ts'

const SOURCES: ReadonlySet<string> = new Set(['source', 'table-source', 'through'])

/** Why the pipeline as it was started last does not take the letter; null when it does. `plans`: all, oldest first. */
export function whyNoEntry(head: DeadLetterHead, plans: readonly StartedPlan[]): string | null {
  const running = plans.at(-1)
  if (running === undefined) return 'the pipeline has not run on this data'
  const undelivered = undeliveredReason(head)
  if (undelivered !== null) return undelivered
  if (running.codeVersion === head.codeVersion) return null
  if (running.parts?.includes(head.part) === false) return `the pipeline has no part \`${head.part}\` any more`
  const writtenAt = plans.findLastIndex((plan) => plan.codeVersion === head.codeVersion)
  if (plans.some((plan, index) => index > writtenAt && plan.isRebuilt === true && writtenAt >= 0))
    return 'the state was built again since then, which has read its record once more'
  const node = running.plan.nodes.find((other) => other.name === head.operator)
  if (node === undefined) return `the pipeline has no operator \`${head.operator}\` any more`
  const written = plans[writtenAt]
  if (SOURCES.has(node.kind) || written === undefined) return null
  const [was, is] = [columnsInto(written.plan, head), columnsInto(running.plan, head)]
  return was === is ? null : `\`${head.operator}\` takes other columns now than when it failed`
}

/** The columns that the letter's operator takes in a plan. */
function columnsInto({ nodes }: StoredPlan, { operator, input }: DeadLetterHead): string | null {
  const from = nodes.find((node) => node.name === operator)?.inputs[input]
  const fields = nodes.find((node) => node.name === from)?.fields
  return fields === null || fields === undefined ? null : layoutText(fields)
}
