// `source(name, topic, connector)`: what a pipeline file exports beside its pipelines, so that the plant fills a topic by itself. A source
// belongs to a topic and to no pipeline: any number of them read what it has brought, and each can be replayed without asking it again.
import type { TopicDeclaration } from '@millrace/core'
import type { AnyTopic, SourceConnector } from '@millrace/core/connect'

/** A source as data: what `export default [source(...), pipeline(...)]` exports and `startPlant({ sources })` takes. */
export interface SourceDefinition {
  readonly kind: 'source-definition'
  readonly name: string
  readonly topic: AnyTopic
  readonly connector: SourceConnector
}

/**
 * Defines a source that fills a topic while the plant runs. Records and position are committed in one step: each is in the topic exactly
 * once, whatever crashes. The topic is made when it is missing.
 * @param name Identity of the position and of metrics: 1-100 of a-z A-Z 0-9 . _ -. Another name reads from the beginning.
 * @example
 * export default [source('access-log', hits, fileSource({ path: '/var/log/hits.ndjson', tail: true })), pipeline('web', build)]
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` when the connector cannot fill this topic.
 */
export function source<V>(name: string, topic: TopicDeclaration<V>, connector: SourceConnector): SourceDefinition {
  const declared = topic as unknown as AnyTopic
  connector.check(declared)
  return Object.freeze({ kind: 'source-definition', name, topic: declared, connector })
}
