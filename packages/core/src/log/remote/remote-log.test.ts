// The conformance suite over a message channel: whatever the log at the other end, a RemoteLog behaves like it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import { logConformance, type LogUnderTest } from '../../testing/log-conformance.ts'
import { batchOf, endOf, part, seenIn, textsOf } from '../../testing/log-conformance-kit.ts'
import type { VirtualTime } from '../../testing/virtual-time.ts'
import { embedded, type Inner, memory, realTurns } from './inner-log.fixture.ts'
import { LogServer } from './log-server.ts'
import { RemoteLog } from './remote-log.ts'
import { errorFromWire, errorToWire } from './wire.ts'

async function over(
  inner: Inner,
  time: VirtualTime,
  open: (() => Promise<void>)[] = [],
): Promise<LogUnderTest & { readonly log: RemoteLog }> {
  const { port1, port2 } = new MessageChannel()
  const server = new LogServer(inner.log)
  server.connect(port1)
  const log = await RemoteLog.connect(port2, inner.disk === null ? {} : { disk: inner.disk })
  open.push(async () => {
    // The server first: after a crash some calls are never answered.
    await server.close()
    await log.close()
    await inner.log.close().catch(() => undefined)
  })
  // What was posted before has arrived at the other side when this settles, and so have the answers.
  const settled = (): Promise<void> => log.refresh().catch(() => undefined)
  return {
    log,
    advance: async (ms) => {
      await settled()
      await time.advance(ms)
      await settled()
    },
    nowMs: () => time.nowMs(),
    maintain: async () => {
      await inner.maintain()
      await settled()
    },
    reopen: async () => {
      await log.close()
      return over(await inner.reopen(), time, open)
    },
    crash: async () => {
      await settled()
      return over(await inner.crash(), time, open)
    },
    damage: (topic, partition, offset) => inner.damage(topic, partition, offset),
    dispose: async () => {
      for (const close of open) await close()
    },
  }
}

function openEmbedded(direct: boolean): Promise<LogUnderTest & { readonly log: RemoteLog }> {
  const time = realTurns()
  return embedded(time, direct).then((inner) => over(inner, time))
}

function openMemory(): Promise<LogUnderTest & { readonly log: RemoteLog }> {
  const time = realTurns()
  return over(memory(time), time)
}

const everything = { canCrash: true, canDamage: true }
logConformance('RemoteLog over MemoryLog', openMemory, { ...everything, modelRuns: 30 })
logConformance('RemoteLog over EmbeddedLog, asking', () => openEmbedded(false), { ...everything, modelRuns: 15 })
logConformance('RemoteLog over EmbeddedLog, reading files itself', () => openEmbedded(true), { ...everything, modelRuns: 30 })

test('a backlog is read from the files: the owner is asked once per segment', async () => {
  const time = realTurns()
  const inner = await embedded(time, true)
  let asked = 0
  const counted = new Proxy(inner.log, {
    get: (log, name) => {
      if (name === 'extent' || name === 'reader') asked++
      const member: unknown = Reflect.get(log, name)
      return typeof member === 'function' ? (member.bind(log) as unknown) : member
    },
  })
  const { log, dispose } = await over({ ...inner, log: counted }, time)
  await log.createTopic('t')
  const texts = Array.from({ length: 400 }, (_, index) => `${index} ${'x'.repeat(30)}`)
  for (const text of texts) await log.append([part('t', [text])])
  await inner.maintain()
  const reader = log.reader()
  const seen: string[] = []
  for (let offset = 0; offset < endOf(log, 't');) {
    const [one] = await reader.fetch([{ topic: 't', partition: 0, offset }], { bytesMax: 500 })
    assert.ok(one !== undefined && one.error === null && one.next > offset && one.bytes.length <= 500)
    seen.push(...seenIn(one.bytes, one.from).map((record) => record.text))
    offset = one.next
  }
  assert.deepEqual(seen, texts)
  assert.ok(asked >= 5 && asked <= 20, `asked ${asked} times for some 11 segments of 4 KiB`)
  await dispose()
})

test('what is visible is visible to the other thread, whoever appended it, and topics of the owner after a refresh', async () => {
  const time = realTurns()
  const inner = memory(time)
  const { log, dispose } = await over(inner, time)
  await inner.log.createTopic('theirs')
  assert.equal(log.topic('theirs'), null)
  await log.refresh()
  let calls = 0
  const stop = log.onAppend('theirs', () => calls++)
  await inner.log.append([part('theirs', ['a'])])
  assert.equal(endOf(log, 'theirs'), endOf(inner.log, 'theirs'), 'shared memory needs no message')
  assert.deepEqual(await textsOf(log, 'theirs'), ['a'])
  assert.ok(calls > 0)
  stop()
  await dispose()
})

test('an append between the registration and its arrival is told', async () => {
  const time = realTurns()
  const inner = memory(time)
  const { log, dispose } = await over(inner, time)
  await log.createTopic('t')
  await inner.log.append([part('t', ['before'])])
  const told = new Promise<void>((resolve) => log.onAppend('t', resolve))
  await told
  await dispose()
})

test('the owner that goes away ends every wait with MR_LOG_CLOSED', async () => {
  const time = realTurns()
  const inner = memory(time)
  const { port1, port2 } = new MessageChannel()
  const server = new LogServer(inner.log)
  server.connect(port1)
  const log = await RemoteLog.connect(port2)
  await log.createTopic('t')
  const poll = log.reader().fetch([{ topic: 't', partition: 0, offset: endOf(log, 't') }], { waitMs: 60_000 })
  const refused = assert.rejects(poll, { code: 'MR_LOG_CLOSED' })
  await server.close()
  await refused
  await assert.rejects(log.append([part('t', ['a'])]), { code: 'MR_LOG_CLOSED' })
  await inner.log.append([part('t', ['the log goes on'])])
  await inner.log.close()
})

test('a port that breaks off leaves the log as it is, and its writer to be fenced', async () => {
  const time = realTurns()
  const inner = memory(time)
  const server = new LogServer(inner.log)
  const first = new MessageChannel()
  server.connect(first.port1)
  const gone = await RemoteLog.connect(first.port2)
  await gone.createTopic('t')
  const old = await gone.openWriter('w')
  await old.commit([part('t', ['a'])])
  first.port2.close()
  const second = new MessageChannel()
  server.connect(second.port1)
  const log = await RemoteLog.connect(second.port2)
  const young = await log.openWriter('w')
  assert.ok(young.epoch > old.epoch)
  await young.commit([part('t', ['b'])])
  assert.deepEqual(await textsOf(log, 't'), ['a', 'b'])
  await log.close()
  await server.close()
  await inner.log.close()
})

test('errors arrive as they were thrown', () => {
  const cause = new TypeError('user code')
  const sent = new MillraceError('MR_LOG_FENCED', { message: 'refused.', details: { writer: 'w', epoch: 7 }, fix: 'Stop.', cause })
  const got = errorFromWire(structuredClone(errorToWire(sent)))
  assert.ok(isMillraceError(got))
  assert.deepEqual([got.code, got.kind, got.message, got.fix, got.details], [sent.code, sent.kind, sent.message, sent.fix, sent.details])
  assert.equal(got.stack, sent.stack)
  const inside = got.cause as Error
  assert.deepEqual([inside.name, inside.message], ['TypeError', 'user code'])
  assert.equal(errorFromWire(errorToWire('a text')).message, 'a text')
})

test('bytes handed in may be changed as soon as the call has returned', async () => {
  const { log, dispose } = await openMemory()
  await log.createTopic('t')
  const batch = batchOf(['a'])
  const appended = log.append([{ topic: 't', partition: 0, batch }])
  batch.fill(0)
  await appended
  assert.deepEqual(await textsOf(log, 't'), ['a'])
  await dispose()
})
