// A board that could not read knows that it has not: the next who asks reads again, instead of waiting for another record.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../../base/errors.ts'
import { seededRandom } from '../../base/random.ts'
import type { FetchedPartition, Log, LogReader } from '../../log/log.ts'
import { MemoryLog } from '../../log/memory-log.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { progressBatch } from './exchange-input.fixture.ts'
import type { BoardPart } from './progress-board.ts'
import { ProgressBoard } from './progress-board.ts'

const PARTS: readonly BoardPart[] = [{ name: 'P', groups: 2, progressTopic: 'p', exchanges: [], producers: [], readers: [] }]
const FAILURE = new MillraceError('MR_LOG_CORRUPT', { message: 'a stored batch is damaged.' })

/** The log, whose next fetch of progress fails: as a whole, or in its first partition. */
function failingOnce(log: MemoryLog, how: 'throws' | 'answers', isNow: boolean): { readonly log: Log; fails: boolean } {
  const failing = { log: log as Log, fails: false }
  const failed = (fetched: readonly FetchedPartition[]): readonly FetchedPartition[] => {
    if (!failing.fails) return fetched
    failing.fails = false
    if (how === 'throws') throw FAILURE
    return fetched.map((one, index) => (index === 0 ? { ...one, bytes: new Uint8Array(0), next: one.from, error: FAILURE } : one))
  }
  failing.log = new Proxy(log, {
    get: (target, name) => {
      if (name === 'reader')
        return (): LogReader => {
          const reader = target.reader()
          const now = reader.fetchNow
          return {
            fetch: async (...args) => failed(await reader.fetch(...args)),
            fetchNow: isNow && now !== null ? (...args) => failed(now(...args)) : null,
            close: () => reader.close(),
          }
        }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return failing
}

for (const how of ['throws', 'answers'] as const)
  for (const isNow of [true, false])
    test(`after a fetch that ${how} with an error, ${isNow ? 'now' : 'later'}, the next refresh reads what it missed`, async () => {
      const time = new VirtualTime()
      const memory = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(1), gaps: false })
      const failing = failingOnce(memory, how, isNow)
      await time.run(memory.createTopic('p', { partitions: 2 }))
      const board = new ProgressBoard(failing.log, PARTS)
      await time.run(board.open())
      await time.run(memory.append([0, 1].map((partition) => ({ topic: 'p', partition, batch: progressBatch(7, []) }))))
      failing.fails = true
      await assert.rejects(time.run(board.refresh()), { code: 'MR_LOG_CORRUPT' })
      await time.run(board.refresh())
      assert.deepEqual([board.through('P', 0), board.through('P', 1)], [7, 7])
      board.close()
    })
