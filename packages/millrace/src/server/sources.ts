// The sources of a plant: started behind the pipelines, stopped before them, and what they report as notices.
import {
  type Clock,
  type Disk,
  type Log,
  MillraceError,
  type RunningSource,
  runSource,
  type Scheduler,
  type SourceEvent,
  type SourceStatus,
} from '@millrace/core/engine'
import type { SourceDefinition } from '../source.ts'
import type { Notices } from './watch/notices.ts'

export interface SourceEnvironment {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
}

export class Sources {
  readonly #environment: SourceEnvironment
  readonly #notices: Notices
  readonly #running = new Map<string, RunningSource>()

  constructor(environment: SourceEnvironment, notices: Notices) {
    this.#environment = environment
    this.#notices = notices
  }

  /** Resolves when it reads. Throws MR_PLAN_NAME_TAKEN, and what makes it fail for good: its settings, or a newer owner. */
  async start({ name, topic, connector }: SourceDefinition): Promise<void> {
    if (this.#running.has(name))
      throw new MillraceError('MR_PLAN_NAME_TAKEN', { message: 'two sources have the same name.', details: { source: name } })
    const running = await runSource(this.#environment.log, connector, topic, {
      name,
      ...this.#environment,
      onEvent: (event) => this.#take(event),
    })
    this.#running.set(name, running)
    if (running.status().phase === 'failed') await running.finished()
  }

  statuses(): readonly SourceStatus[] {
    return Array.from(this.#running.values(), (running) => running.status())
  }

  /** Commits what was read. */
  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#running.values(), (running) => running.stop()))
  }

  #take(event: SourceEvent): void {
    const task = `source ${event.source}`
    switch (event.kind) {
      case 'notice':
        return this.#notices.add('warning', task, event.message, null, event.message, null)
      case 'retrying':
        return this.#notices.failure('warning', task, 'cannot read and tries again', event.error)
      case 'full':
        return this.#notices.failure('warning', task, 'waits for room in the log', event.error)
      case 'failed':
        return this.#notices.failure('error', task, 'failed', event.error)
      case 'resumed':
        return this.#notices.add('info', task, 'resumed', null, 'goes on', null)
      case 'ended':
        return this.#notices.add('info', task, 'ended', null, 'has read everything', null)
    }
  }
}
