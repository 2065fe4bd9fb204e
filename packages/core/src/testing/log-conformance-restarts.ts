// The log port: restarts, crashes, damage.
import assert from 'node:assert/strict'
import { endOf, fetchError, type LogLaw, part, readAll, rejects, startOf, textsOf } from './log-conformance-kit.ts'

export const restartLaws: readonly LogLaw[] = [
  {
    law: 'topics, records, offsets and settings outlive a restart',
    run: async (under) => {
      await under.log.createTopic('t', { partitions: 2, retentionMs: 1e9 })
      await under.log.createTopic('gone')
      await under.log.deleteTopic('gone')
      await under.log.alterTopic('t', { retentionMs: 2e9 })
      for (let round = 0; round < 10; round++) await under.log.append([part('t', [`${round}`], 0), part('t', [`${round}`, 'x'], 1)])
      const topic = under.log.topic('t')
      const before = [await readAll(under.log, 't', 0), await readAll(under.log, 't', 1)]
      const ends = under.log.ends('t')
      const { log } = await under.reopen()
      assert.deepEqual(log.topic('t'), topic)
      assert.equal(topic?.settings.retentionMs, 2e9)
      assert.equal(log.topic('gone'), null)
      assert.deepEqual(log.ends('t'), ends)
      assert.deepEqual([await readAll(log, 't', 0), await readAll(log, 't', 1)], before)
      const { firstOffsets } = await log.append([part('t', ['new'])])
      assert.ok((firstOffsets[0] ?? 0) > (before[0]?.at(-1)?.offset ?? 0), 'LOG-1 an offset is never used again')
    },
  },
]

/** For logs that can be stopped as by a power cut. */
export const crashLaws: readonly LogLaw[] = [
  {
    law: 'LOG-3 what was durable survives a crash, what was not is there whole or not at all',
    run: async (first) => {
      let under = first
      await under.log.createTopic('t', { partitions: 3 })
      let durable = 0
      for (let crash = 0; crash < 8; crash++) {
        const writer = await under.log.openWriter('w')
        const commit = (round: number) => writer.commit([0, 1, 2].map((partition) => part('t', [`${crash}.${round}`], partition)))
        for (let round = 0; round < 5; round++) await commit(round)
        durable += 5
        for (let round = 5; round < 5 + (crash % 3); round++) commit(round).catch(() => undefined)
        assert.ok(under.crash)
        under = await under.crash()
        const seen = await Promise.all([0, 1, 2].map((partition) => textsOf(under.log, 't', partition)))
        assert.deepEqual(seen[1], seen[0])
        assert.deepEqual(seen[2], seen[0])
        assert.ok((seen[0]?.length ?? 0) >= durable, `${seen[0]?.length} of ${durable}`)
        durable = seen[0]?.length ?? 0
      }
    },
  },

  {
    law: 'LOG-3 request keys and fences outlive a crash',
    run: async (under) => {
      await under.log.createTopic('t')
      const writer = await under.log.openWriter('w')
      const answer = await under.log.append([part('t', ['a'])], { requestKey: 'k' })
      assert.ok(under.crash)
      const { log } = await under.crash()
      assert.deepEqual(await log.append([part('t', ['a'])], { requestKey: 'k' }), { ...answer, repeated: true })
      assert.ok((await log.openWriter('w')).epoch > writer.epoch)
      await rejects(writer.commit([part('t', ['b'])]), 'MR_LOG_CLOSED')
      assert.deepEqual(await textsOf(log, 't'), ['a'])
    },
  },
]

/** For logs whose stored bytes can be damaged. */
export const damageLaws: readonly LogLaw[] = [
  {
    law: 'LOG-7 a damaged batch stops its partition with MR_LOG_CORRUPT and nothing else, until it is skipped',
    run: async (under) => {
      const { log, damage } = under
      await log.createTopic('t', { partitions: 2 })
      for (let round = 0; round < 6; round++) await log.append([part('t', [`${round}a`, `${round}b`], 0), part('t', [`${round}`], 1)])
      const offsets = (await readAll(log, 't')).map((seen) => seen.offset)
      assert.ok(damage)
      await damage('t', 0, offsets[5] ?? 0)
      const reader = log.reader()
      const [one, other] = await reader.fetch([0, 1].map((partition) => ({ topic: 't', partition, offset: startOf(log, 't', partition) })))
      assert.deepEqual([one?.error, other?.error], [null, null])
      // Between the records there may be a gap: what is given may end before or behind it.
      const given = one?.next ?? -1
      assert.ok(given > (offsets[3] ?? 0) && given <= (offsets[4] ?? 0), 'what lies before it is given')
      assert.equal(await fetchError(reader, 't', 0, offsets[4] ?? 0), 'MR_LOG_CORRUPT')
      assert.equal(await fetchError(reader, 't', 0, offsets[5] ?? 0), 'MR_LOG_CORRUPT')
      assert.equal(await fetchError(reader, 't', 0, offsets[6] ?? 0), null)
      assert.deepEqual(await textsOf(log, 't', 1), ['0', '1', '2', '3', '4', '5'])
      const next = await log.skipCorrupt('t', 0, offsets[4] ?? 0)
      assert.ok(next > (offsets[5] ?? 0) && next <= (offsets[6] ?? 0))
      assert.deepEqual(
        (await readAll(log, 't', 0, next)).map((seen) => seen.offset),
        offsets.slice(6),
      )
      assert.deepEqual(
        (await readAll(log, 't', 0)).map((seen) => seen.offset),
        [...offsets.slice(0, 4), ...offsets.slice(6)],
      )
      assert.equal(await log.skipCorrupt('t', 0, offsets[0] ?? 0), offsets[0], 'what can be read is not skipped')
      await log.append([part('t', ['new'])])
      assert.ok(endOf(log, 't') > (offsets.at(-1) ?? 0))
    },
  },
]
