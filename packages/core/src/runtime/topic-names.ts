// Names of the internal topics of a pipeline. `__` marks them internal; a user's topic cannot start with it.

export function progressTopic(pipeline: string, part: string): string {
  return `__${pipeline}.${part}.progress`
}
/** Rows of state and commit records, one partition per task group. */
export function changelogTopic(pipeline: string, part: string): string {
  return `__${pipeline}.${part}.changelog`
}
export function snapshotTopic(pipeline: string, part: string): string {
  return `__${pipeline}.${part}.snapshot`
}
/** Dead letters on their way back in, one partition per task group. */
export function retryTopic(pipeline: string, part: string): string {
  return `__${pipeline}.${part}.retry`
}
/** Stored plans of the pipeline, newest last: what `npx millrace plan` compares with. */
export function planTopic(pipeline: string): string {
  return `__${pipeline}.plan`
}
export function deadLetterTopic(pipeline: string): string {
  return `${pipeline}.dead-letters`
}
/** The positions of a source, newest last: what it appended and how far it had read are one commit. */
export function sourcePositionTopic(source: string): string {
  return `__source.${source}.position`
}

const STATE_TOPIC = /^__.+\.(?:changelog|snapshot|exchange(?:-\d+)?)$/

/** Whether a topic keeps what the state of a pipeline is made of: passing over a damaged place there would make results wrong without a word. */
export function isStateTopic(name: string): boolean {
  return STATE_TOPIC.test(name)
}
