// A full log is the one failure of a commit that is waited out: the work is done, and nothing else may happen before it is committed.
import { type Scheduler, sleep } from '../base/scheduler.ts'
import { isMillraceError } from '../base/errors.ts'
import type { LogPart, LogWriter } from '../log/log.ts'

const RETRY_MS = 250

export interface RoomWait {
  /** Whoever waits is to stop: what the log says is thrown then. */
  isOver(): boolean
  /** Called once, when the wait begins. */
  full(error: unknown): void
  /** Called when it has ended. */
  resumed(): void
}

/** Commits. Resolves when durable; any failure but a full log is thrown. */
export async function commitWhenRoom(writer: LogWriter, parts: readonly LogPart[], scheduler: Scheduler, wait: RoomWait): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await writer.commit(parts)
      if (tries > 0) wait.resumed()
      return
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'MR_LOG_FULL' || wait.isOver()) throw error
      if (tries === 0) wait.full(error)
      await sleep(scheduler, RETRY_MS)
    }
  }
}
