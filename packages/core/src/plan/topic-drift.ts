// Where the file and the log say different things of a topic that exists: a start makes topics, and never changes them.
import { durationText } from './describe.ts'

/** What a file declares of a topic, and the log keeps of it. */
export interface TopicKeeping {
  readonly partitions: number
  readonly retentionMs: number | null
  readonly compacted: boolean
}

export interface TopicDrift {
  readonly message: string
  readonly advice: string
}

const DEFAULTS: TopicKeeping = { partitions: 1, retentionMs: null, compacted: false }

/**
 * What the file says of the topic and does not happen, each with the way out. A default that was always there says nothing: the topic may
 * have been made by hand.
 * @param before What the file said when the pipeline ran last; null: it did not.
 */
export function topicDrift(name: string, said: TopicKeeping, before: TopicKeeping | null, kept: TopicKeeping): readonly TopicDrift[] {
  const differs = (setting: keyof TopicKeeping): boolean =>
    said[setting] !== kept[setting] && (said[setting] !== DEFAULTS[setting] || (before ?? said)[setting] !== said[setting])
  const drifts: TopicDrift[] = []
  if (differs('partitions'))
    drifts.push({
      message: `the topic \`${name}\` has ${partitionsText(kept)} and keeps them: the file says ${said.partitions}, and the number is fixed when a topic is made.`,
      advice: `Say \`partitions: ${kept.partitions}\`, or give the topic another name.`,
    })
  if (differs('retentionMs'))
    drifts.push({
      message: `the topic \`${name}\` goes on keeping its records ${retentionText(kept)}: the file says ${retentionText(said)}, which counts only when the topic is made.`,
      advice: `Change it with \`npx millrace topics set ${name} --retention-ms ${said.retentionMs ?? 'none'}\`.`,
    })
  if (differs('compacted'))
    drifts.push({
      message: `the topic \`${name}\` goes on keeping ${compactedText(kept)}: the file says ${compactedText(said)}, and that is fixed when a topic is made.`,
      advice: `Say \`compacted: ${kept.compacted}\`, or give the topic another name.`,
    })
  return drifts
}

function partitionsText({ partitions }: TopicKeeping): string {
  return `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`
}

function retentionText({ retentionMs }: TopicKeeping): string {
  return retentionMs === null ? 'for ever' : `for ${durationText(retentionMs)}`
}

function compactedText({ compacted }: TopicKeeping): string {
  return compacted ? 'the newest record of each key' : 'every record'
}
