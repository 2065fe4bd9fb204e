import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PlantStatus } from 'millrace/api'
import { PlantFeed, RETRY_MS, SILENCE_MS } from './plant-feed.ts'
import { decodeStatus } from './decode.ts'
import { RequestError } from './requests.ts'

/** A server and a clock that the test moves by hand. */
class Doors {
  nowAt = 0
  opened = 0
  up = true
  #timers: { readonly at: number; readonly run: () => void }[] = []
  #onData: ((text: string) => void) | null = null
  #onError: ((error: unknown) => void) | null = null

  readonly openEvents = (onData: (text: string) => void, onError: (error: unknown) => void): (() => void) => {
    this.opened++
    this.#onData = onData
    this.#onError = onError
    return () => {
      this.#onData = null
      this.#onError = null
    }
  }
  readonly fetchStatus = (): Promise<string> => (this.up ? Promise.resolve(status(this.nowAt)) : Promise.reject(new Error('refused')))
  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.nowAt + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }
  readonly nowMs = (): number => this.nowAt

  get listening(): boolean {
    return this.#onData !== null
  }

  get armed(): number {
    return this.#timers.length
  }

  send(): void {
    this.#onData?.(status(this.nowAt))
  }

  fail(error: unknown = null): void {
    this.#onError?.(error)
  }

  async pass(ms: number): Promise<void> {
    this.nowAt += ms
    const due = this.#timers.filter((timer) => timer.at <= this.nowAt)
    this.#timers = this.#timers.filter((timer) => timer.at > this.nowAt)
    for (const timer of due) timer.run()
    // The answers of the server arrive as promises.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }
}

function status(nowMs: number): string {
  return JSON.stringify({ nowMs, pipelines: [] })
}

function start(): { readonly doors: Doors; readonly feed: PlantFeed; state(): string } {
  const doors = new Doors()
  const feed = new PlantFeed(doors)
  feed.open()
  return { doors, feed, state: () => feed.snapshot().connection.state }
}

describe('feed', () => {
  test('is live with the first status and tells its readers', () => {
    const { doors, feed, state } = start()
    let told = 0
    const leave = feed.subscribe(() => told++)
    assert.equal(state(), 'connecting')
    doors.send()
    assert.equal(state(), 'live')
    leave()
    doors.send()
    assert.equal(told, 1)
  })

  test('silence counts as loss: the old status stays, with the moment of the loss', async () => {
    const { doors, feed, state } = start()
    doors.send()
    await doors.pass(SILENCE_MS - 1)
    assert.equal(state(), 'live')
    doors.up = false
    await doors.pass(1)
    assert.deepEqual(feed.snapshot().connection, { state: 'lost', sinceMs: SILENCE_MS, attempts: 0 })
    assert.equal(feed.snapshot().status?.nowMs, 0)
    assert.equal(doors.listening, false)
  })

  test('while the server is away it asks every two seconds and counts, since the same moment', async () => {
    const { doors, feed, state } = start()
    doors.send()
    doors.up = false
    doors.fail()
    for (let attempt = 1; attempt <= 3; attempt++) {
      await doors.pass(RETRY_MS)
      assert.deepEqual(feed.snapshot().connection, { state: 'lost', sinceMs: 0, attempts: attempt })
    }
    doors.up = true
    await doors.pass(RETRY_MS)
    assert.equal(state(), 'live')
    assert.equal(doors.listening, true)
    assert.equal(doors.opened, 2)
  })

  test('where only the stream is cut off, polling keeps the figures fresh', async () => {
    const { doors, feed } = start()
    for (let round = 0; round < 4; round++) {
      doors.fail()
      await doors.pass(RETRY_MS)
      assert.equal(feed.snapshot().status?.nowMs, doors.nowAt)
    }
  })

  test('a server that wants a token is not asked again until there is one', async () => {
    const { doors, feed, state } = start()
    doors.fail(new RequestError('MR_HTTP_TOKEN', 'The token is missing or wrong.', ''))
    assert.equal(state(), 'locked')
    assert.equal(doors.armed, 0)
    await doors.pass(10 * RETRY_MS)
    assert.equal(doors.opened, 1)
    feed.open()
    assert.equal(state(), 'connecting')
    doors.send()
    assert.equal(state(), 'live')
  })

  test('closed, it holds no stream and no timer', () => {
    const { doors, feed } = start()
    feed.close()
    assert.equal(doors.listening, false)
    assert.equal(doors.armed, 0)
  })
})

describe('decoding', () => {
  test('infinities are read where times stand, and nowhere else', () => {
    const text = '{"nowMs":5,"folder":"+inf","pipelines":[{"tasks":[{"watermarkMs":"-inf","waitsForMs":"+inf"}]}]}'
    const decoded = decodeStatus<PlantStatus>(text)
    assert.equal(decoded.folder, '+inf')
    assert.equal(decoded.pipelines[0]?.tasks[0]?.watermarkMs, Number.NEGATIVE_INFINITY)
    assert.equal(decoded.pipelines[0]?.tasks[0]?.waitsForMs, Number.POSITIVE_INFINITY)
  })
})
