// The log port: idempotent producers and request keys.
import assert from 'node:assert/strict'
import { batchOf, type LogLaw, part, readAll, rejects, textsOf } from './log-conformance-kit.ts'

const DAY_MS = 86_400_000

const from = (id: number, epoch: number, sequence: number, records: readonly string[]) => ({
  topic: 't',
  partition: 0,
  batch: batchOf(records, 1000, { id, epoch, sequence }),
})

export const producersLaws: readonly LogLaw[] = [
  {
    law: 'producer ids are never given twice, also over a restart',
    run: async (under) => {
      const ids = [await under.log.allocateProducerId(), await under.log.allocateProducerId()]
      const again = await under.reopen()
      ids.push(await again.log.allocateProducerId())
      assert.equal(new Set(ids).size, 3)
      for (const id of ids) assert.ok(Number.isSafeInteger(id) && id >= 0)
    },
  },

  {
    law: 'LOG-5 a batch sent again is answered with its first offset and appended once',
    run: async ({ log }) => {
      await log.createTopic('t')
      const id = await log.allocateProducerId()
      const first = await log.append([from(id, 0, 0, ['a', 'b'])])
      const second = await log.append([from(id, 0, 2, ['c'])])
      assert.deepEqual((await log.append([from(id, 0, 0, ['a', 'b'])])).firstOffsets, first.firstOffsets)
      assert.deepEqual((await log.append([from(id, 0, 2, ['c'])])).firstOffsets, second.firstOffsets)
      const both = await Promise.all([log.append([from(id, 0, 3, ['d'])]), log.append([from(id, 0, 3, ['d'])])])
      assert.deepEqual(both[0].firstOffsets, both[1].firstOffsets)
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c', 'd'])
    },
  },

  {
    law: 'LOG-5 batches of one append follow each other; known and new ones may be mixed',
    run: async ({ log }) => {
      await log.createTopic('t')
      const id = await log.allocateProducerId()
      await log.append([from(id, 0, 0, ['a']), from(id, 0, 1, ['b'])])
      await log.append([from(id, 0, 0, ['a']), from(id, 0, 1, ['b']), from(id, 0, 2, ['c'])])
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c'])
      await rejects(log.append([from(id, 0, 3, ['d']), from(id, 0, 5, ['f'])]), 'MR_LOG_SEQUENCE_GAP')
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c'])
      await log.append([from(id, 0, 3, ['d'])])
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c', 'd'])
    },
  },

  {
    law: 'a skipped sequence number is MR_LOG_SEQUENCE_GAP, an older epoch MR_LOG_FENCED, a newer one starts at 0',
    run: async ({ log }) => {
      await log.createTopic('t')
      const id = await log.allocateProducerId()
      await log.append([from(id, 0, 0, ['a'])])
      await rejects(log.append([from(id, 0, 2, ['c'])]), 'MR_LOG_SEQUENCE_GAP')
      await rejects(log.append([from(id, 1, 1, ['b'])]), 'MR_LOG_SEQUENCE_GAP')
      await log.append([from(id, 1, 0, ['b'])])
      await rejects(log.append([from(id, 0, 1, ['x'])]), 'MR_LOG_FENCED')
      await log.append([from(id, 1, 1, ['c'])])
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c'])
    },
  },

  {
    law: 'sequences are per producer and partition, also in commits',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      const [one, two] = [await log.allocateProducerId(), await log.allocateProducerId()]
      const writer = await log.openWriter('w')
      await writer.commit([from(one, 0, 0, ['a']), from(two, 0, 0, ['b']), { ...from(one, 0, 0, ['c']), partition: 1 }])
      await writer.commit([from(one, 0, 0, ['a'])])
      assert.deepEqual([await textsOf(log, 't', 0), await textsOf(log, 't', 1)], [['a', 'b'], ['c']])
    },
  },

  {
    law: 'LOG-5 the memory of producers outlives a restart',
    run: async (under) => {
      await under.log.createTopic('t')
      const id = await under.log.allocateProducerId()
      const before = await under.log.append([from(id, 0, 0, ['a', 'b'])])
      const { log } = await under.reopen()
      assert.deepEqual((await log.append([from(id, 0, 0, ['a', 'b'])])).firstOffsets, before.firstOffsets)
      await rejects(log.append([from(id, 0, 3, ['d'])]), 'MR_LOG_SEQUENCE_GAP')
      await log.append([from(id, 0, 2, ['c'])])
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c'])
    },
  },

  {
    law: 'a request key that was answered appends nothing and gets the offsets of the first time, also over a restart',
    run: async (under) => {
      await under.log.createTopic('t', { partitions: 2 })
      const parts = [part('t', ['a', 'b'], 0), part('t', ['c'], 1)]
      const first = await under.log.append(parts, { requestKey: 'order-1' })
      assert.equal(first.repeated, false)
      assert.deepEqual(await under.log.append(parts, { requestKey: 'order-1' }), { ...first, repeated: true })
      assert.equal((await under.log.append(parts, { requestKey: 'order-2' })).repeated, false)
      const { log } = await under.reopen()
      assert.deepEqual(await log.append([part('t', ['other'])], { requestKey: 'order-1' }), { ...first, repeated: true })
      assert.deepEqual(
        [await textsOf(log, 't', 0), await textsOf(log, 't', 1)],
        [
          ['a', 'b', 'a', 'b'],
          ['c', 'c'],
        ],
      )
    },
  },

  {
    law: 'a request key repeated while the first one is on its way is appended once; a refused request is not remembered',
    run: async ({ log }) => {
      await log.createTopic('t')
      const answers = await Promise.all([1, 2, 3].map(() => log.append([part('t', ['a'])], { requestKey: 'k' })))
      assert.equal(answers.filter((answer) => answer.repeated).length, 2)
      for (const answer of answers) assert.deepEqual(answer.firstOffsets, answers[0]?.firstOffsets)
      await rejects(log.append([part('none', ['b'])], { requestKey: 'refused' }), 'MR_TOPIC_UNKNOWN')
      assert.equal((await log.append([part('t', ['b'])], { requestKey: 'refused' })).repeated, false)
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b'])
    },
  },

  {
    law: 'a request key is remembered for 24 hours and forgotten after',
    run: async (under) => {
      await under.log.createTopic('t')
      await under.log.append([part('t', ['a'])], { requestKey: 'k' })
      await under.advance(DAY_MS - 1000)
      assert.equal((await under.log.append([part('t', ['a'])], { requestKey: 'k' })).repeated, true)
      await under.advance(2 * DAY_MS)
      await under.maintain()
      assert.equal((await under.log.append([part('t', ['b'])], { requestKey: 'k' })).repeated, false)
      assert.equal((await readAll(under.log, 't')).length, 2)
    },
  },
]
