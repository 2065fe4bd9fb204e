// What a plant says of its log: damage that a start has found, keys that it forgets early, and that it has failed.
import type { EmbeddedLog, Log } from '@millrace/core/engine'
import type { LogStatus } from '../../api.ts'
import { errorOf } from '../http/answers.ts'
import type { Notices } from './notices.ts'

export class LogWatch {
  /** A log in memory has none of this. */
  readonly #log: Partial<EmbeddedLog>
  readonly #notices: Notices
  #saidForgottenKeys = false

  constructor(log: Log, notices: Notices) {
    this.#log = log as Partial<EmbeddedLog>
    this.#notices = notices
  }

  /** Set when nothing can be made durable any more. */
  get failure(): unknown {
    return this.#log.failure ?? null
  }

  status(): LogStatus | null {
    const { stats, quarantined = [] } = this.#log
    if (stats === undefined) return null
    const { directWrites, journalHalfBytes, requestKeys, requestKeysForgotten } = stats
    const error = this.failure === null ? null : errorOf(this.failure)
    return {
      directWrites,
      journalHalfBytes,
      requestKeys,
      requestKeysForgotten,
      quarantined,
      error: error === null ? null : { code: error.code, message: error.message, fix: error.fix },
    }
  }

  sayRecovery(): void {
    for (const damage of this.#log.recovery?.damages ?? []) {
      const text = JSON.stringify(damage)
      this.#notices.add('error', 'log', text, 'MR_LOG_CORRUPT', `the log is damaged: ${text}`, 'Run `npx millrace fsck`.')
    }
  }

  /** Once: it goes on like that until fewer requests have keys. */
  sayForgottenKeys(): void {
    if (this.#saidForgottenKeys || (this.#log.stats?.requestKeysForgotten ?? 0) === 0) return
    this.#saidForgottenKeys = true
    this.#notices.add(
      'warning',
      'log',
      'request keys',
      null,
      'more requests have an `Idempotency-Key` than the log can remember for 24 hours: a late repeat of an old one would be appended again',
      'Send larger batches, each with one key.',
    )
  }
}
