// The log port: administration of topics, membership, closing.
import assert from 'node:assert/strict'
import { type LogLaw, part, rejects, textsOf } from './log-conformance-kit.ts'

export const topicsLaws: readonly LogLaw[] = [
  {
    law: 'a new topic has the settings given and defaults that lose nothing',
    run: async ({ log }) => {
      const topic = await log.createTopic('plain')
      assert.deepEqual(
        { ...topic.settings, batchBytesMax: 0 },
        { partitions: 1, retentionMs: null, retentionBytes: null, compacted: false, internal: false, batchBytesMax: 0 },
      )
      const given = await log.createTopic('given', { partitions: 3, retentionMs: 5000, internal: true })
      assert.deepEqual([given.settings.partitions, given.settings.retentionMs, given.settings.internal], [3, 5000, true])
      assert.deepEqual(log.topic('given'), given)
      assert.equal(log.topic('none'), null)
      assert.deepEqual(
        log
          .topics()
          .map((one) => one.name)
          .sort(),
        ['given', 'plain'],
      )
      assert.deepEqual(
        log.ends('given').map(({ topic: of, partition, start, end, bytes }) => [of, partition, end - start, bytes]),
        [0, 1, 2].map((partition) => ['given', partition, 0, 0]),
      )
    },
  },

  {
    law: 'a topic that exists is given back when the settings agree, else MR_TOPIC_EXISTS',
    run: async ({ log }) => {
      const topic = await log.createTopic('t', { partitions: 2 })
      assert.deepEqual(await log.createTopic('t'), topic)
      assert.deepEqual(await log.createTopic('t', { partitions: 2, compacted: false }), topic)
      await rejects(log.createTopic('t', { partitions: 3 }), 'MR_TOPIC_EXISTS')
    },
  },

  {
    law: 'invalid names and settings are MR_TOPIC_INVALID',
    run: async ({ log }) => {
      for (const wrong of ['', '.', '..', 'a b', 'a/b', 'ä', 'x'.repeat(201)]) await rejects(log.createTopic(wrong), 'MR_TOPIC_INVALID')
      await log.createTopic('x'.repeat(200))
      for (const settings of [
        { partitions: 0 },
        { partitions: 1025 },
        { partitions: 1.5 },
        { retentionMs: 0 },
        { retentionBytes: -1 },
        { batchBytesMax: 1 },
      ]) {
        await rejects(log.createTopic('t', settings), 'MR_TOPIC_INVALID')
      }
      await log.createTopic('t', { partitions: 2 })
      await rejects(log.alterTopic('t', { partitions: 3 }), 'MR_TOPIC_INVALID')
      await rejects(log.alterTopic('t', { compacted: true }), 'MR_TOPIC_INVALID')
      await rejects(log.alterTopic('t', { internal: true }), 'MR_TOPIC_INVALID')
    },
  },

  {
    law: 'settings that are not fixed change, those not named stay',
    run: async ({ log }) => {
      const before = await log.createTopic('t', { retentionMs: 1000, retentionBytes: 1 << 20 })
      const after = await log.alterTopic('t', { retentionMs: null })
      assert.deepEqual(after, { ...before, settings: { ...before.settings, retentionMs: null } })
      assert.deepEqual(log.topic('t'), after)
    },
  },

  {
    law: 'a topic deleted and created again is empty and another',
    run: async ({ log }) => {
      const before = await log.createTopic('t')
      await log.append([part('t', ['a'])])
      await log.deleteTopic('t')
      assert.equal(log.topic('t'), null)
      await rejects(() => log.ends('t'), 'MR_TOPIC_UNKNOWN')
      const after = await log.createTopic('t')
      assert.notEqual(after.id, before.id)
      assert.deepEqual(await textsOf(log, 't'), [])
      await log.append([part('t', ['b'])])
      assert.deepEqual(await textsOf(log, 't'), ['b'])
    },
  },

  {
    law: 'a topic or partition that does not exist is named by every method',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      await rejects(log.alterTopic('none', {}), 'MR_TOPIC_UNKNOWN')
      await rejects(log.deleteTopic('none'), 'MR_TOPIC_UNKNOWN')
      await rejects(() => log.ends('none'), 'MR_TOPIC_UNKNOWN')
      for (const [topic, partition, code] of [
        ['none', 0, 'MR_TOPIC_UNKNOWN'],
        ['t', 2, 'MR_PARTITION_UNKNOWN'],
        ['t', -1, 'MR_PARTITION_UNKNOWN'],
      ] as const) {
        await rejects(log.append([part(topic, ['a'], partition)]), code)
        await rejects(log.trim(topic, partition, 0), code)
        await rejects(log.offsetForTime(topic, partition, 0, 'event'), code)
        await rejects(log.skipCorrupt(topic, partition, 0), code)
        const [fetched] = await log.reader().fetch([{ topic, partition, offset: 0 }])
        assert.equal((fetched?.error as { readonly code?: string } | null)?.code, code)
      }
    },
  },

  {
    law: 'one member gets all groups; the next one its share after the first has let go',
    run: async ({ log }) => {
      const told: string[] = []
      const member = (who: string) => ({
        domain: 'd',
        groups: 4,
        onAssigned: async (groups: readonly number[]) => void told.push(`${who}${groups.join('')}`),
      })
      const a = await log.join(member('a'))
      assert.deepEqual(told, ['a0123'])
      const b = await log.join(member('b'))
      assert.deepEqual(told, ['a0123', 'a01', 'b23'])
      await a.leave()
      assert.deepEqual(told.slice(3), ['b0123'])
      await b.leave()
    },
  },

  {
    law: 'after close every call fails with MR_LOG_CLOSED, and what was accepted is there when it is opened again',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t')
      const writer = await log.openWriter('w')
      const reader = log.reader()
      const accepted = log.append([part('t', ['a'])], { durability: 'received' })
      const waiting = log.append([part('t', ['b'])])
      await log.close()
      await Promise.all([accepted, waiting])
      await log.close()
      await rejects(log.append([part('t', ['c'])]), 'MR_LOG_CLOSED')
      await rejects(writer.commit([part('t', ['c'])]), 'MR_LOG_CLOSED')
      await rejects(reader.fetch([{ topic: 't', partition: 0, offset: 0 }]), 'MR_LOG_CLOSED')
      await rejects(log.openWriter('x'), 'MR_LOG_CLOSED')
      await rejects(log.createTopic('x'), 'MR_LOG_CLOSED')
      const again = await under.reopen()
      assert.deepEqual(await textsOf(again.log, 't'), ['a', 'b'])
    },
  },
]
