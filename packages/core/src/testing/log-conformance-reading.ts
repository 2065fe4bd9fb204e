// The log port: append and fetch, order, budgets, long poll, visibility.
import assert from 'node:assert/strict'
import { systemScheduler } from '../base/scheduler.ts'
import { batchOf, endOf, fetchError, type LogLaw, part, readAll, rejects, seenIn, startOf, textsOf } from './log-conformance-kit.ts'

export const readingLaws: readonly LogLaw[] = [
  {
    law: 'LOG-1 offsets increase, the answer names the first one, and reading from any offset gives what follows',
    run: async ({ log }) => {
      await log.createTopic('t')
      const firsts: number[] = []
      for (let round = 0; round < 20; round++) {
        const { firstOffsets, repeated } = await log.append([part('t', [`${round}a`, `${round}b`, `${round}c`])])
        assert.equal(repeated, false)
        firsts.push(firstOffsets[0] ?? -1)
      }
      const all = await readAll(log, 't')
      assert.deepEqual(
        all.map((seen) => seen.text),
        Array.from({ length: 60 }, (_, index) => `${Math.floor(index / 3)}${'abc'[index % 3]}`),
      )
      assert.deepEqual(
        all.filter((_, index) => index % 3 === 0).map((seen) => seen.offset),
        firsts,
      )
      for (const [index, seen] of all.entries()) assert.ok(index === 0 || seen.offset > (all[index - 1]?.offset ?? 0))
      assert.ok(endOf(log, 't') > (all.at(-1)?.offset ?? 0))
      for (const from of [all[1], all[4], all[30]]) {
        assert.deepEqual(await readAll(log, 't', 0, from?.offset), all.slice(all.findIndex((seen) => seen === from)))
      }
    },
  },

  {
    law: 'several batches in one part, several parts in one append: the answer has the first offset of each part',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      const two = { topic: 't', partition: 1, batch: Buffer.concat([batchOf(['a', 'b']), batchOf(['c'])]) }
      const { firstOffsets } = await log.append([two, part('t', ['x']), part('t', ['d'], 1)])
      assert.deepEqual(await textsOf(log, 't', 1), ['a', 'b', 'c', 'd'])
      assert.deepEqual(await textsOf(log, 't', 0), ['x'])
      const seen = await readAll(log, 't', 1)
      assert.deepEqual(firstOffsets, [seen[0]?.offset, (await readAll(log, 't', 0))[0]?.offset, seen[3]?.offset])
    },
  },

  {
    law: 'keys, nulls, times and empty values come back as they were',
    run: async ({ log }) => {
      await log.createTopic('t')
      await log.append([{ topic: 't', partition: 0, batch: batchOf(['k:v', 'k:', 'k:-', 'v'], 5_000_000_000_000) }])
      assert.deepEqual(
        (await readAll(log, 't')).map(({ text, timeMs }) => [text, timeMs - 5_000_000_000_000]),
        [
          ['k:v', 0],
          ['k:', 1],
          ['k:-', 2],
          ['v', 3],
        ],
      )
    },
  },

  {
    law: 'LOG-6 appends of one caller keep their order, waited for or not',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      const appends = Array.from({ length: 50 }, (_, index) =>
        log.append([part('t', [String(index)], index % 2)], { durability: index % 3 === 0 ? 'received' : 'durable' }),
      )
      const answers = await Promise.all(appends)
      await log.append([part('t', ['last'], 0), part('t', ['last'], 1)])
      for (const partition of [0, 1]) {
        const seen = await readAll(log, 't', partition)
        assert.deepEqual(
          seen.map((one) => one.text),
          [...Array.from({ length: 25 }, (_, index) => String(index * 2 + partition)), 'last'],
        )
        assert.deepEqual(
          seen.slice(0, 25).map((one) => one.offset),
          answers.filter((_, index) => index % 2 === partition).map((one) => one.firstOffsets[0]),
        )
      }
    },
  },

  {
    law: 'LOG-2 what is only received is not visible before it is durable; what is durable is',
    run: async ({ log }) => {
      await log.createTopic('t')
      const reader = log.reader()
      const start = endOf(log, 't')
      const received = log.append([part('t', ['a'])], { durability: 'received' })
      const durable = log.append([part('t', ['b'])])
      const { firstOffsets } = await received
      const [early] = await reader.fetch([{ topic: 't', partition: 0, offset: start }])
      assert.ok(early !== undefined && endOf(log, 't') >= early.end)
      assert.ok(seenIn(early.bytes, early.from).length <= 2)
      await durable
      assert.deepEqual(await textsOf(log, 't'), ['a', 'b'])
      assert.equal((await readAll(log, 't'))[0]?.offset, firstOffsets[0])
    },
  },

  {
    law: 'a fetch keeps its budgets, and always gives one whole batch where there is one',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 3 })
      const size = batchOf(['x'.repeat(500)]).length
      for (let round = 0; round < 10; round++) await log.append([0, 1, 2].map((partition) => part('t', ['x'.repeat(500)], partition)))
      const reader = log.reader()
      const positions = [0, 1, 2].map((partition) => ({ topic: 't', partition, offset: startOf(log, 't', partition) }))
      const sizes = async (options: object) => (await reader.fetch(positions, options)).map((one) => one.bytes.length / size)
      assert.deepEqual(await sizes({}), [10, 10, 10])
      assert.deepEqual(await sizes({ bytesMax: 15 * size }), [10, 5, 0])
      assert.deepEqual(await sizes({ bytesMax: 15 * size, partitionBytesMax: 4 * size }), [4, 4, 4])
      assert.deepEqual(await sizes({ bytesMax: 1 }), [1, 0, 0])
      assert.equal((await readAll(log, 't', 0, undefined, 1)).length, 10)
      // However large its batches are: each partition waits for a fetch of its own.
      await log.createTopic('large', { partitions: 3 })
      for (const partition of [0, 1, 2]) await log.append([part('large', ['x'.repeat(50_000)], partition)])
      const large = [0, 1, 2].map((partition) => ({ topic: 'large', partition, offset: startOf(log, 'large', partition) }))
      const given = await log.reader().fetch(large, { bytesMax: 1000 })
      assert.deepEqual(
        given.map((one) => one.bytes.length > 0),
        [true, false, false],
      )
    },
  },

  {
    law: 'a batch may be larger than any buffer so far, up to the limit of its topic',
    run: async ({ log }) => {
      await log.createTopic('t', { batchBytesMax: 3_000_000 })
      const big = 'x'.repeat(2_500_000)
      await log.append([part('t', ['small']), part('t', [big])])
      assert.deepEqual(await textsOf(log, 't'), ['small', big])
      await rejects(log.append([part('t', ['x'.repeat(3_000_000)])]), 'MR_LOG_BATCH_TOO_LARGE')
      assert.equal((await readAll(log, 't')).length, 2)
    },
  },

  {
    law: 'what is not a record batch is refused and leaves nothing, not even the good parts beside it',
    run: async ({ log }) => {
      await log.createTopic('t')
      const good = batchOf(['a', 'b'])
      const flipped = good.slice()
      flipped[70] = (flipped[70] ?? 0) ^ 1
      for (const batch of [
        new Uint8Array(0),
        good.subarray(0, good.length - 1),
        Buffer.concat([good, new Uint8Array(3)]),
        flipped,
        new Uint8Array(100),
      ]) {
        await rejects(log.append([part('t', ['x']), { topic: 't', partition: 0, batch }]), 'MR_LOG_BATCH_INVALID')
      }
      assert.deepEqual(await textsOf(log, 't'), [])
    },
  },

  {
    law: 'offsets outside of what is kept are MR_LOG_OFFSET_RANGE; other positions of the fetch are served',
    run: async ({ log }) => {
      await log.createTopic('t', { partitions: 2 })
      await log.append([part('t', ['a'], 0), part('t', ['b'], 1)])
      const reader = log.reader()
      assert.equal(await fetchError(reader, 't', 0, endOf(log, 't')), null)
      assert.equal(await fetchError(reader, 't', 0, endOf(log, 't') + 1), 'MR_LOG_OFFSET_RANGE')
      await log.append([part('t', ['c'], 0)])
      const second = (await readAll(log, 't'))[1]?.offset ?? 0
      await log.trim('t', 0, second)
      assert.equal(await fetchError(reader, 't', 0, 0), 'MR_LOG_OFFSET_RANGE')
      const both = await reader.fetch([
        { topic: 't', partition: 0, offset: 0 },
        { topic: 't', partition: 1, offset: startOf(log, 't', 1) },
      ])
      assert.deepEqual(
        both.map((one) => [one.error !== null, seenIn(one.bytes, one.from).length]),
        [
          [true, 0],
          [false, 1],
        ],
      )
    },
  },

  {
    law: 'a long poll wakes when something becomes visible, and gives up after its time',
    run: async (under) => {
      const { log } = under
      await log.createTopic('t')
      await log.createTopic('other')
      const reader = log.reader()
      const position = { topic: 't', partition: 0, offset: endOf(log, 't') }
      let answered = false
      const poll = reader.fetch([position], { waitMs: 60_000 }).finally(() => (answered = true))
      await log.append([part('other', ['x'])])
      await systemScheduler.turn()
      assert.equal(answered, false, 'another topic does not answer it')
      await log.append([part('t', ['a'])])
      const [one] = await poll
      assert.deepEqual(one && seenIn(one.bytes, one.from).map((seen) => seen.text), ['a'])
      const idle = reader.fetch([{ ...position, offset: endOf(log, 't') }], { waitMs: 500 })
      await under.advance(499)
      let early = true
      void idle.then(() => (early = false))
      await systemScheduler.turn()
      assert.equal(early, true)
      await under.advance(2)
      const [none] = await idle
      assert.deepEqual([none?.bytes.length, none?.next, none?.error], [0, endOf(log, 't'), null])
    },
  },

  {
    law: 'closing the reader or the log ends a long poll with MR_LOG_CLOSED',
    run: async ({ log }) => {
      await log.createTopic('t')
      const position = { topic: 't', partition: 0, offset: endOf(log, 't') }
      const [first, second] = [log.reader(), log.reader()]
      const polls = [first.fetch([position], { waitMs: 60_000 }), second.fetch([position], { waitMs: 60_000 })]
      const failures = Promise.all(polls.map((poll) => rejects(poll, 'MR_LOG_CLOSED')))
      first.close()
      await log.close()
      await failures
    },
  },

  {
    law: 'fetchNow, where there is one, gives what fetch gives and waits for nothing',
    run: async ({ log }) => {
      await log.createTopic('t')
      await log.append([part('t', ['a', 'b'])])
      const reader = log.reader()
      const position = { topic: 't', partition: 0, offset: startOf(log, 't') }
      const [later] = (await reader.fetch([position])).map((one) => ({ ...one, bytes: one.bytes.slice() }))
      const now = reader.fetchNow?.([position], { waitMs: 1000 })
      if (now !== undefined)
        assert.deepEqual(
          now.map((one) => ({ ...one, bytes: one.bytes.slice() })),
          [{ ...later, bytes: new Uint8Array(later?.bytes ?? []) }],
        )
    },
  },

  {
    law: 'onAppend is called after an append is visible, per registration, until it is stopped',
    run: async ({ log }) => {
      await log.createTopic('t')
      let calls = 0
      let visible = 0
      const notify = () => {
        calls++
        visible = Math.max(visible, endOf(log, 't') - startOf(log, 't'))
      }
      const stops = [log.onAppend('t', notify), log.onAppend('t', notify)]
      await log.append([part('t', ['a'])])
      assert.ok(calls >= 2 && visible >= 1, `${calls} calls, ${visible} visible`)
      stops[0]?.()
      const before = calls
      await log.append([part('t', ['b'])])
      assert.ok(calls > before)
      stops[1]?.()
      const last = calls
      await log.append([part('t', ['c'])])
      assert.equal(calls, last)
    },
  },

  {
    law: 'LOG-6 who is called back may append and open a writer at once, in whatever state the log is, and overtakes nobody',
    run: async ({ log }) => {
      await log.createTopic('t')
      await log.createTopic('echoes')
      const answers: Promise<unknown>[] = []
      const epochs: Promise<number>[] = []
      const append = (topic: string, text: string): void => void answers.push(log.append([part(topic, [text.padEnd(300)])]))
      let echoes = 0
      const stop = log.onAppend('t', () => {
        if (echoes === 600) return
        const echo = echoes++
        append(echo % 2 === 0 ? 't' : 'echoes', `e${echo}`)
        if (echo % 20 === 0) epochs.push(log.openWriter('w').then(({ epoch }) => epoch))
      })
      for (let index = 0; index < 1_200; index++) append('t', String(index))
      while (answers.length > 0) await Promise.all(answers.splice(0))
      stop()
      const texts = (await textsOf(log, 't')).map((text) => text.trim())
      assert.deepEqual(
        texts.filter((text) => !text.startsWith('e')),
        Array.from({ length: 1_200 }, (_, index) => String(index)),
      )
      const echoed = (rest: number): readonly string[] =>
        Array.from({ length: echoes }, (_, echo) => `e${echo}`).filter((_, echo) => echo % 2 === rest)
      assert.ok(echoes > 0)
      assert.deepEqual(
        texts.filter((text) => text.startsWith('e')),
        echoed(0),
      )
      assert.deepEqual(
        (await textsOf(log, 'echoes')).map((text) => text.trim()),
        echoed(1),
      )
      const given = await Promise.all(epochs)
      assert.equal(new Set(given).size, given.length)
    },
  },

  {
    law: 'internal topics are written and read at the port like others',
    run: async ({ log }) => {
      await log.createTopic('changes', { internal: true })
      await log.append([part('changes', ['a'])])
      assert.deepEqual(await textsOf(log, 'changes'), ['a'])
    },
  },
]
