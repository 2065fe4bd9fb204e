// The log port: retention, trimming, compaction, look-up by time.
import assert from 'node:assert/strict'
import type { Log } from '../log/log.ts'
import {
  batchOf,
  endOf,
  fetchError,
  type LogLaw,
  type LogUnderTest,
  part,
  readAll,
  rejects,
  startOf,
  textsOf,
} from './log-conformance-kit.ts'

const HOUR_MS = 3_600_000

export const keepingLaws: readonly LogLaw[] = [
  {
    law: 'retention by time counts from the append, not from the event, and never drops too much',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t', { retentionMs: HOUR_MS })
      await log.append([part('t', ['old'], 0, under.nowMs() + 10 * HOUR_MS)])
      await under.advance(HOUR_MS / 2)
      await log.append([part('t', ['young'], 0, 5)])
      await under.advance(HOUR_MS / 2 - 1000)
      await under.maintain()
      assert.deepEqual(await textsOf(log, 't'), ['old', 'young'])
      await under.advance(2 * HOUR_MS)
      await log.append([part('t', ['new'])])
      await under.maintain()
      assert.deepEqual((await textsOf(log, 't')).at(-1), 'new')
      await under.advance(2 * HOUR_MS)
      await under.maintain()
      await under.maintain()
      const [{ start, end } = { start: 0, end: 0 }] = log.ends('t')
      assert.equal(start, end, 'everything is older than the retention')
      await log.append([part('t', ['after'])])
      assert.deepEqual(await textsOf(log, 't'), ['after'])
    },
  },

  {
    law: 'retention by size keeps at least the newest and lets go the oldest',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t', { retentionBytes: 20_000 })
      const all: string[] = []
      for (let round = 0; round < 100; round++) {
        all.push(`${round}:${'x'.repeat(1000)}`)
        await log.append([part('t', [all.at(-1) ?? ''])])
      }
      await under.maintain()
      const kept = await textsOf(log, 't')
      assert.ok(kept.length >= 1 && kept.length < 100, `${kept.length} kept`)
      assert.deepEqual(kept, all.slice(-kept.length))
      assert.equal(await fetchError(log.reader(), 't', 0, 0), 'MR_LOG_OFFSET_RANGE')
    },
  },

  {
    law: 'a batch larger than the whole retention is kept while it is the newest',
    run: async (under) => {
      await under.log.createTopic('t', { retentionBytes: 100 })
      await under.log.append([part('t', ['x'.repeat(5000)])])
      await under.maintain()
      assert.equal((await textsOf(under.log, 't')).length, 1)
    },
  },

  {
    law: 'trim drops what lies below an offset for good, also inside a batch',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t', { internal: true })
      await log.append([part('t', ['a', 'b', 'c'])])
      await log.append([part('t', ['d', 'e'])])
      const offsets = (await readAll(log, 't')).map((seen) => seen.offset)
      await log.trim('t', 0, offsets[1] ?? 0)
      assert.deepEqual(await textsOf(log, 't'), ['b', 'c', 'd', 'e'])
      assert.equal(await fetchError(log.reader(), 't', 0, offsets[0] ?? 0), 'MR_LOG_OFFSET_RANGE')
      await log.trim('t', 0, offsets[0] ?? 0)
      await log.trim('t', 0, offsets[4] ?? 0)
      assert.deepEqual(await textsOf(log, 't'), ['e'])
      await rejects(log.trim('t', 0, endOf(log, 't') + 1), 'MR_LOG_OFFSET_RANGE')
      await log.trim('t', 0, endOf(log, 't'))
      assert.deepEqual(await textsOf(log, 't'), [])
      const again = await under.reopen()
      assert.equal(startOf(again.log, 't'), endOf(again.log, 't'))
      await again.log.append([part('t', ['f'])])
      assert.deepEqual(await textsOf(again.log, 't'), ['f'])
    },
  },

  {
    law: 'a compacted topic takes no record without key',
    run: async ({ log }) => {
      await log.createTopic('t', { compacted: true })
      await rejects(log.append([part('t', ['k:v', 'no key'])]), 'MR_LOG_BATCH_INVALID')
      await log.append([part('t', ['k:v', ':empty key'])])
      assert.deepEqual(await textsOf(log, 't'), ['k:v', ':empty key'])
    },
  },

  {
    law: 'compaction keeps the newest record of each key at its offset, and the table that a reader builds',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t', { compacted: true })
      for (let round = 0; round < 60; round++) {
        await log.append([
          part(
            't',
            Array.from({ length: 10 }, (_, index) => `${(round * 7 + index * 3) % 13}:${round % 9 === 4 ? '-' : `${round}.${index}`}`),
          ),
        ])
      }
      const before = await readAll(log, 't')
      const end = endOf(log, 't')
      await under.maintain()
      const after = await readAll(log, 't')
      assert.deepEqual(table(after), table(before))
      assert.equal(endOf(log, 't'), end)
      const known = new Map(before.map((seen) => [seen.offset, seen]))
      for (const seen of after) assert.deepEqual(known.get(seen.offset), seen)
      await log.append([part('t', ['0:last'])])
      assert.equal(table(await readAll(log, 't')).get('0'), 'last')
    },
  },

  {
    law: 'the first offset at or after an event time, by the largest time seen so far',
    run: async ({ log }) => {
      await log.createTopic('t')
      for (const times of [
        [100, 300, 200],
        [150, 160],
        [400, 50],
        [400, 500],
      ]) {
        await log.append(times.map((timeMs) => ({ topic: 't', partition: 0, batch: batchOf([String(timeMs)], timeMs) })))
      }
      await log.append([{ topic: 't', partition: 0, batch: batchOf(['600', '601', '602', '603'], 600) }])
      const seen = await readAll(log, 't')
      let largest = 0
      const running = seen.map((one) => (largest = Math.max(largest, one.timeMs)))
      for (const timeMs of [0, 100, 101, 200, 300, 301, 400, 450, 500, 501, 600, 601, 602, 603, 604, 1e9]) {
        const index = running.findIndex((time) => time >= timeMs)
        assert.equal(await log.offsetForTime('t', 0, timeMs, 'event'), index < 0 ? endOf(log, 't') : seen[index]?.offset, `time ${timeMs}`)
      }
    },
  },

  {
    law: 'the first offset at or after a time of append',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t')
      const times: number[] = []
      for (const round of [0, 1, 2, 3, 4]) {
        await log.append([part('t', [`${round}`, 'x'], 0, 1_000_000 - round)])
        times.push(under.nowMs())
        await under.advance(1000)
      }
      const firsts = (await readAll(log, 't')).filter((_, index) => index % 2 === 0).map((seen) => seen.offset)
      for (const [index, timeMs] of times.entries()) {
        assert.equal(await log.offsetForTime('t', 0, timeMs - 500, 'append'), firsts[index])
        assert.equal(await log.offsetForTime('t', 0, timeMs + 500, 'append'), firsts[index + 1] ?? endOf(log, 't'))
      }
      await checkAfterReopen(under, firsts, times)
    },
  },

  {
    law: 'over many small appends no time leads behind its record, and none leads more than a second before it',
    run: async (under) => {
      await under.log.createTopic('t')
      const times: number[] = []
      for (let round = 0; round < 400; round++) {
        await under.advance(round % 100 === 99 ? 2_500 : 10)
        await under.log.append([part('t', [`${round}`.padEnd(100, '.')], 0, 1_000 + ((round * 7) % 400))])
        times.push(under.nowMs())
      }
      await checkTimes(under.log, times)
      await checkTimes((await under.reopen()).log, times)
    },
  },
]

/** Against a linear scan; batch by batch, because only the event time is looked up to the record. */
async function checkTimes(log: Log, times: readonly number[]): Promise<void> {
  const seen = await readAll(log, 't')
  assert.equal(seen.length, times.length)
  let largest = 0
  const running = seen.map((one) => (largest = Math.max(largest, one.timeMs)))
  for (let index = 0; index < times.length; index += 7) {
    const timeMs = times[index] as number
    for (const wantedMs of [timeMs - 1, timeMs, timeMs + 1]) {
      const first = times.findIndex((time) => time >= wantedMs)
      const wanted = first < 0 ? endOf(log, 't') : (seen[first]?.offset ?? -1)
      const got = await log.offsetForTime('t', 0, wantedMs, 'append')
      assert.ok(got <= wanted, `time of append ${wantedMs}: ${got} lies behind ${wanted}`)
      const early = times.filter((time, at) => (seen[at]?.offset ?? 0) >= got && time < wantedMs)
      assert.ok((early.at(-1) ?? 0) - (early[0] ?? 0) < 1_000, `time of append ${wantedMs}: ${got} lies far before ${wanted}`)
    }
    const eventMs = 1_000 + index
    const at = running.findIndex((time) => time >= eventMs)
    assert.equal(await log.offsetForTime('t', 0, eventMs, 'event'), at < 0 ? endOf(log, 't') : seen[at]?.offset, `event time ${eventMs}`)
  }
}

async function checkAfterReopen(under: LogUnderTest, firsts: readonly number[], times: readonly number[]): Promise<void> {
  const { log } = await under.reopen()
  for (const [index, timeMs] of times.entries()) assert.equal(await log.offsetForTime('t', 0, timeMs - 500, 'append'), firsts[index])
  assert.equal(await log.offsetForTime('t', 0, 0, 'append'), firsts[0])
  assert.equal(await log.offsetForTime('t', 0, 1_000_000, 'event'), firsts[0])
}

/** Newest value per key, deletions left out. */
function table(seen: readonly { readonly text: string }[]): Map<string, string> {
  const rows = new Map<string, string>()
  for (const { text } of seen) {
    const colon = text.indexOf(':')
    const key = text.slice(0, colon)
    if (text.endsWith(':-')) rows.delete(key)
    else rows.set(key, text.slice(colon + 1))
  }
  return rows
}
