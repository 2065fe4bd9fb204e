// One notice and one line per cause, however often it happens.
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { MillraceError, seededRandom, systemClock } from '@millrace/core/engine'
import { VirtualTime } from '@millrace/core/testing'
import type { PlantStatus } from '../../api.ts'
import { PlantUnderTest } from '../plant.fixture.ts'
import { createLogLines, silentLog } from './log-lines.ts'
import { Notices } from './notices.ts'
import { Rates } from './rates.ts'

function world(json = false): { readonly time: VirtualTime; readonly lines: string[]; readonly notices: Notices } {
  const time = new VirtualTime({ random: seededRandom(1) })
  const lines: string[] = []
  return { time, lines, notices: new Notices(time, createLogLines({ clock: time, json, out: (line) => lines.push(line) })) }
}

test('the hint about dead letters works where it is read', () => {
  const fixOf = (folder?: string): string | null => {
    const time = new VirtualTime({ random: seededRandom(1) })
    const notices = new Notices(time, silentLog, folder)
    notices.take('web', { kind: 'dead-letters', task: 'hits/0', code: 'MR_CODEC_JSON_INVALID', operator: 'hits', count: 1, sample: '' })
    return notices.list()[0]?.fix ?? null
  }
  assert.match(fixOf() ?? '', /`npx millrace dlq list`/)
  assert.match(fixOf(path.resolve('millrace-data')) ?? '', /`npx millrace dlq list`/)
  assert.match(fixOf(path.resolve('.millrace/flights')) ?? '', /`npx millrace dlq list --data \.millrace\/flights`/)
  assert.match(fixOf('/var/lib/my plant') ?? '', /`npx millrace dlq list --data "\/var\/lib\/my plant"`/)
})

test('what a restart read again is said in numbers that can be read', () => {
  const { lines, notices } = world()
  notices.take('web', { kind: 'restored', task: 'hits/0', rows: 1_218_159, ms: 2041.7 })
  assert.match(lines[0] ?? '', /restored 1,218,159 rows of state in 2,042 ms/)
})

test('a thousand dead letters of one cause are one line, and their count comes later', async () => {
  const { time, lines, notices } = world()
  for (let n = 0; n < 1000; n++)
    notices.take('web', {
      kind: 'dead-letters',
      task: 'hits/0',
      code: 'MR_CODEC_JSON_INVALID',
      operator: 'hits',
      count: 2,
      sample: 'not valid JSON',
    })
  assert.equal(lines.length, 1)
  assert.match(
    lines[0] ?? '',
    /warning dead letters at `hits`: not valid JSON task=web\/hits\/0 count=2 \(MR_CODEC_JSON_INVALID\)\n +fix: /,
  )
  notices.flush()
  assert.equal(lines.length, 1)
  await time.advance(31_000)
  notices.flush()
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', /count=2000/)
  notices.flush()
  assert.equal(lines.length, 2)
  assert.deepEqual(
    notices.list().map(({ count, level, code }) => [count, level, code]),
    [[2000, 'warning', 'MR_CODEC_JSON_INVALID']],
  )
})

test('different causes are different notices, newest first, and their number is bounded', () => {
  const { notices } = world()
  notices.take('web', { kind: 'failed', task: 'a/0', error: new MillraceError('MR_LOG_FENCED') })
  notices.take('web', { kind: 'paused', task: 'a/0', error: new Error('strange') })
  assert.deepEqual(
    notices.list().map(({ level, code, message }) => [level, code, message.split(':')[0]]),
    [
      ['error', null, 'is paused'],
      ['error', 'MR_LOG_FENCED', 'failed'],
    ],
  )
  for (let n = 0; n < 500; n++) notices.add('info', 'task', `cause ${n}`, null, 'x', null)
  assert.equal(notices.list().length, 100)
})

test('lines for programs are JSON objects', () => {
  const { lines, notices } = world(true)
  notices.take('web', { kind: 'restarted', task: 'a/0', attempt: 2, error: new MillraceError('MR_DISK_FAILED') })
  const line = JSON.parse(lines[0] ?? '') as Readonly<Record<string, unknown>>
  assert.deepEqual([line['level'], line['task'], line['code']], ['warning', 'web/a/0', 'MR_DISK_FAILED'])
  assert.match(String(line['at']), /^\d{4}-\d\d-\d\dT/)
})

test('rates are over the last seconds, and a counter that fell counts from zero', async () => {
  const { time } = world()
  const rates = new Rates(time)
  assert.deepEqual({ ...rates.read() }, {})
  for (let second = 0; second < 20; second++) {
    rates.sample(
      new Map([
        ['a', second * 100],
        ['b', second < 15 ? 1000 : 10],
      ]),
    )
    await time.advance(1000)
  }
  assert.equal(rates.read()['a'], 100)
  assert.equal(rates.read()['b'], 2)
})

test('records that retention took away unread are one notice with their number and what to do', () => {
  const { lines, notices } = world()
  notices.take('web', { kind: 'records-lost', task: 'hits/0', topic: 'hits', partition: 0, count: 7 })
  assert.deepEqual(
    notices.list().map(({ code, count, level }) => [code, count, level]),
    [['MR_RUNTIME_RECORDS_LOST', 7, 'error']],
  )
  assert.match(lines[0] ?? '', /retention removed records of `hits`, partition 0.*count=7.*\n +fix: .*--retention-ms/)
})

test('a start says that the clock of the machine was never set, and nothing of one that was', async () => {
  const spoken = async (nowMs: number): Promise<readonly string[]> => {
    const plant = await PlantUnderTest.start({ clock: { ...systemClock, nowMs: () => nowMs, nowUs: () => nowMs * 1_000 } })
    const { notices } = (await plant.get('/api/status')).value as PlantStatus
    await plant.stop()
    return notices.filter(({ task }) => task === 'clock').map(({ message, fix }) => `${message}. ${fix ?? ''}`)
  }
  const [said = '', ...others] = await spoken(Date.UTC(1970, 0, 2))
  assert.match(said, /the clock of the machine says 1970-01-02T00:00:00\.000Z\. Set the clock of the machine/)
  assert.deepEqual(others, [])
  assert.deepEqual(await spoken(Date.UTC(2026, 6, 1)), [])
})
