// What a user should see of a running plant: one notice per cause with its count, on the page and as lines of the log.
import { relative, resolve } from 'node:path'
import { type Clock, ERRORS, isMillraceError, type TaskEvent } from '@millrace/core/engine'
import type { Notice } from '../../api.ts'
import { countText } from '../../count-text.ts'
import { DATA_FOLDER } from '../defaults.ts'
import type { LogFields, LogLines } from './log-lines.ts'

const NOTICES_MAX = 100
/** A cause that goes on is said again after this long, with its count. */
const REPEAT_MS = 30_000

interface Cause {
  notice: Notice
  saidAtMs: number
  saidCount: number
}

/** What a command needs to find a plant from the folder that this process was started in. */
function dataFlag(folder: string | null): string {
  const path = folder === null ? DATA_FOLDER : relative('', folder)
  if (path === DATA_FOLDER) return ''
  const shown = path === '' ? '.' : path.startsWith('..') ? resolve(path) : path
  return ` --data ${/^[\w./-]+$/.test(shown) ? shown : JSON.stringify(shown)}`
}

export class Notices {
  readonly #clock: Clock
  readonly #log: LogLines
  readonly #lettersFix: string
  readonly #causes = new Map<string, Cause>()

  /** @param folder Data folder of the plant, for commands that are hinted at; null: where a command looks by itself. */
  constructor(clock: Clock, log: LogLines, folder: string | null = null) {
    this.#clock = clock
    this.#log = log
    this.#lettersFix = `See them on the page, or with \`npx millrace dlq list${dataFlag(folder)}\`.`
  }

  /** Newest first. */
  list(): readonly Notice[] {
    return Array.from(this.#causes.values(), (cause) => cause.notice).toReversed()
  }

  /** Notes what a task reported. */
  take(pipeline: string, event: TaskEvent): void {
    const task = `${pipeline}/${event.task}`
    switch (event.kind) {
      case 'restored':
        if (event.rows > 0)
          this.add(
            'info',
            task,
            'restored',
            null,
            `restored ${countText(event.rows)} rows of state in ${countText(Math.round(event.ms))} ms`,
            null,
          )
        return
      case 'resumed':
        this.add('info', task, 'resumed', null, 'goes on', null)
        return
      case 'snapshot-damaged':
        return this.failure('warning', task, 'passes over a damaged snapshot', event.error)
      case 'restarted':
        return this.failure('warning', task, `was restarted from its last commit, try ${event.attempt}`, event.error)
      case 'paused':
        return this.failure('error', task, 'is paused', event.error)
      case 'failed':
        return this.failure('error', task, 'failed', event.error)
      case 'stray':
        return this.failure('error', task, 'goes on', event.error)
      case 'records-lost':
        this.add(
          'error',
          task,
          `records-lost ${event.topic} ${event.partition}`,
          'MR_RUNTIME_RECORDS_LOST',
          `retention removed records of \`${event.topic}\`, partition ${event.partition}, before they were read`,
          ERRORS.MR_RUNTIME_RECORDS_LOST.fix,
          event.count,
        )
        return
      case 'dead-letters':
        this.add(
          'warning',
          task,
          `${event.code} ${event.operator}`,
          event.code,
          `dead letters at \`${event.operator}\`: ${event.sample}`,
          this.#lettersFix,
          event.count,
        )
    }
  }

  /** Notes a failure with its error. */
  failure(level: 'warning' | 'error', task: string, what: string, error: unknown): void {
    const known = isMillraceError(error)
    const message = error instanceof Error ? error.message : String(error)
    this.add(
      level,
      task,
      `${what} ${known ? error.code : message}`,
      known ? error.code : null,
      `${what}: ${message}`,
      known ? error.fix : null,
    )
  }

  /** Adds `count` to the cause `id` of a task; the log gets a line for the first one and then now and then. */
  add(level: Notice['level'], task: string, id: string, code: string | null, message: string, fix: string | null, count = 1): void {
    const key = `${task} ${id}`
    const atMs = this.#clock.nowMs()
    const known = this.#causes.get(key)
    const cause: Cause = known ?? {
      notice: { atMs, level, task, code, message, fix, count: 0 },
      saidAtMs: Number.NEGATIVE_INFINITY,
      saidCount: 0,
    }
    cause.notice = { atMs, level, task, code, message, fix, count: cause.notice.count + count }
    this.#causes.delete(key)
    this.#causes.set(key, cause)
    if (this.#causes.size > NOTICES_MAX) this.#causes.delete(this.#causes.keys().next().value as string)
    if (atMs - cause.saidAtMs < REPEAT_MS) return
    const fields: LogFields = {
      task,
      ...(cause.notice.count === 1 ? {} : { count: cause.notice.count }),
      ...(code === null ? {} : { code }),
      ...(fix === null ? {} : { fix }),
    }
    this.#log.write(level, message, fields)
    cause.saidAtMs = atMs
    cause.saidCount = cause.notice.count
  }

  /** Says the counts of causes that went on quietly; called each second. */
  flush(): void {
    const nowMs = this.#clock.nowMs()
    for (const cause of this.#causes.values()) {
      if (cause.notice.count === cause.saidCount || nowMs - cause.saidAtMs < REPEAT_MS) continue
      const { level, message, task, code, fix, count } = cause.notice
      this.#log.write(level, message, { task, count, ...(code === null ? {} : { code }), ...(fix === null ? {} : { fix }) })
      cause.saidAtMs = nowMs
      cause.saidCount = count
    }
  }
}
