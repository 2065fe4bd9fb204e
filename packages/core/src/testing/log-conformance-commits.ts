// The log port: atomic commits by fenced writers.
import assert from 'node:assert/strict'
import { systemScheduler } from '../base/scheduler.ts'
import { batchOf, type LogLaw, part, readAll, rejects, startOf, textsOf } from './log-conformance-kit.ts'

const PARTITIONS = 10

export const commitsLaws: readonly LogLaw[] = [
  {
    law: 'LOG-2 a reader beside sees a commit to ten partitions whole or not at all',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: PARTITIONS })
      const writer = await log.openWriter('w')
      const positions = Array.from({ length: PARTITIONS }, (_, partition) => ({
        topic: 't',
        partition,
        offset: startOf(log, 't', partition),
      }))
      let done = false
      const looks: number[][] = []
      const watch = async () => {
        const reader = log.reader()
        for (; !done; await systemScheduler.turn()) {
          const fetched = reader.fetchNow === null ? await reader.fetch(positions) : reader.fetchNow(positions)
          looks.push(fetched.map((one) => one.bytes.length))
          const ends = log.ends('t').map(({ start, end }) => end > start)
          assert.ok(
            ends.every((some) => some === ends[0]),
            'the ends move together',
          )
        }
        reader.close()
      }
      const watching = watch()
      for (let round = 0; round < 20; round++) {
        await writer.commit(positions.map(({ topic, partition }) => part(topic, [`round ${round}`], partition)))
      }
      done = true
      await watching
      for (const sizes of looks)
        assert.ok(
          sizes.every((size) => size === sizes[0]),
          `seen: ${sizes.join()}`,
        )
      for (let partition = 0; partition < PARTITIONS; partition++) assert.equal((await readAll(log, 't', partition)).length, 20)
    },
  },

  {
    law: 'the bytes of a commit are the caller’s again once it has settled, whatever their size',
    run: async ({ log }) => {
      await log.createTopic('t')
      const writer = await log.openWriter('w')
      const expected: string[] = []
      for (const size of [10, 5_000, 100_000, 700_000]) {
        const records = ['a', 'b'].map((letter) => letter.repeat(size))
        const parts = [part('t', records), part('t', ['between'])]
        await writer.commit(parts)
        for (const { batch } of parts) batch.fill(0xee)
        expected.push(...records, 'between')
      }
      assert.deepEqual(await textsOf(log, 't'), expected)
    },
  },

  {
    law: 'LOG-4 opening a name again fences the older writer, which leaves no trace',
    run: async ({ log }) => {
      await log.createTopic('t')
      const old = await log.openWriter('w')
      const other = await log.openWriter('other')
      await old.commit([part('t', ['a'])])
      const pending = old.commit([part('t', ['b'])])
      const young = await log.openWriter('w')
      await pending
      assert.ok(young.epoch > old.epoch)
      assert.deepEqual([young.name, old.name], ['w', 'w'])
      await rejects(old.commit([part('t', ['lost'])]), 'MR_LOG_FENCED')
      await rejects(old.commit([]), 'MR_LOG_FENCED')
      await young.commit([part('t', ['c'])])
      await other.commit([part('t', ['d'])])
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b', 'c', 'd'])
    },
  },

  {
    law: 'the epoch rises over a restart',
    run: async (under) => {
      const before = await under.log.openWriter('w')
      const again = await under.reopen()
      const after = await again.log.openWriter('w')
      assert.ok(after.epoch > before.epoch)
    },
  },

  {
    law: 'a commit that is refused leaves nothing, wherever its bad part stands',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      const writer = await log.openWriter('w')
      await rejects(writer.commit([part('t', ['a']), part('none', ['a'])]), 'MR_TOPIC_UNKNOWN')
      await rejects(writer.commit([part('t', ['a']), part('t', ['a'], 2)]), 'MR_PARTITION_UNKNOWN')
      await rejects(writer.commit([part('t', ['a']), { topic: 't', partition: 1, batch: new Uint8Array(9) }]), 'MR_LOG_BATCH_INVALID')
      assert.deepEqual([await textsOf(log, 't', 0), await textsOf(log, 't', 1)], [[], []])
      const { firstOffsets } = await writer.commit([part('t', ['b'], 1), part('t', ['c'], 1)])
      assert.deepEqual(
        (await readAll(log, 't', 1)).map((seen) => seen.offset),
        [...firstOffsets],
      )
    },
  },

  {
    law: 'an empty commit and an empty append are answered',
    run: async ({ log }) => {
      const writer = await log.openWriter('w')
      assert.deepEqual(await writer.commit([]), { firstOffsets: [] })
      assert.deepEqual(await log.append([]), { firstOffsets: [], repeated: false })
    },
  },

  {
    law: 'LOG-6 batches of a commit keep their order inside a partition, commits keep theirs',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      const writer = await log.openWriter('w')
      const commits = Array.from({ length: 10 }, (_, round) =>
        writer.commit([
          part('t', [`${round}a`], 0),
          part('t', [`${round}x`], 1),
          { topic: 't', partition: 0, batch: batchOf([`${round}b`]) },
        ]),
      )
      await Promise.all(commits)
      assert.deepEqual(
        await textsOf(log, 't', 0),
        Array.from({ length: 20 }, (_, index) => `${index >> 1}${'ab'[index & 1]}`),
      )
      assert.deepEqual(
        await textsOf(log, 't', 1),
        Array.from({ length: 10 }, (_, round) => `${round}x`),
      )
    },
  },

  {
    law: 'a closed writer commits nothing more',
    run: async ({ log }) => {
      await log.createTopic('t')
      const writer = await log.openWriter('w')
      const last = writer.commit([part('t', ['a'])])
      await writer.close()
      await last
      await rejects(writer.commit([part('t', ['b'])]), 'MR_LOG_CLOSED')
      assert.deepEqual(await textsOf(log, 't'), ['a'])
    },
  },

  {
    law: 'the bytes handed in may be changed once the promise has settled',
    run: async ({ log }) => {
      await log.createTopic('t')
      const writer = await log.openWriter('w')
      const batch = batchOf(['a'])
      await writer.commit([{ topic: 't', partition: 0, batch }])
      batch.fill(0)
      assert.deepEqual(await textsOf(log, 't'), ['a'])
    },
  },
]
