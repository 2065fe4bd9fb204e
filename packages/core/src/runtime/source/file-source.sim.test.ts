// The file source against a model: a program that writes lines in pieces, rotates by rename or by copy and truncation, writes on to the
// old file for a while; a source that is stopped, killed and started again. Every line is in the topic once, in order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../base/random.ts'
import { fileSource } from '../../connect/file-source.ts'
import { FileAppender, SourceWorld } from './source.fixture.ts'

const SEEDS = 150
const STEPS = 60
const PATH = '/in/app.ndjson'
const KEPT_MAX = 8
/** Rotations that nobody has read yet: the oldest must not be thrown away unread. */
const UNREAD_MAX = 5
const ROTATE_WAIT_MS = 2000

class Writer {
  readonly lines: string[] = []
  readonly #world: SourceWorld
  #appender: FileAppender
  #rest = ''
  #rotated = false

  constructor(world: SourceWorld) {
    this.#world = world
    this.#appender = new FileAppender(world.disk, PATH)
  }

  get isBetweenLines(): boolean {
    return this.#rest === ''
  }

  get isRotated(): boolean {
    return this.#rotated
  }

  write(random: Random): void {
    for (let count = random.below(4); count >= 0; count--) {
      const line = JSON.stringify({ n: this.lines.length, pad: 'x'.repeat(random.below(random.chance(0.1) ? 2000 : 60)) })
      this.lines.push(line)
      this.#rest += `${line}${random.chance(0.2) ? '\r\n' : '\n'}${random.chance(0.1) ? '\n' : ''}`
    }
    // A program writes its buffer when it is full, which may be in the middle of a line.
    this.#flush(random.chance(0.4) ? random.below(this.#rest.length) : this.#rest.length)
  }

  finish(): void {
    this.#flush(this.#rest.length)
  }

  #flush(length: number): void {
    if (length > 0) this.#appender.write(this.#rest.slice(0, length))
    this.#rest = this.#rest.slice(length)
  }

  /** The file gets another name; the program holds it open until it is told. */
  rename(): void {
    const { disk } = this.#world
    for (let number = KEPT_MAX; number >= 1; number--) {
      if (!disk.exists(`${PATH}.${number}`)) continue
      if (number === KEPT_MAX) disk.remove(`${PATH}.${number}`)
      else disk.rename(`${PATH}.${number}`, `${PATH}.${number + 1}`)
    }
    disk.rename(PATH, `${PATH}.1`)
    this.#rotated = true
  }

  reopen(): void {
    this.finish()
    this.#appender.close()
    this.#appender = new FileAppender(this.#world.disk, PATH)
    this.#rotated = false
  }

  truncate(): void {
    this.#appender.truncate()
  }
}

async function runSeed(seed: number): Promise<void> {
  const world = new SourceWorld(seed)
  const { random, time } = world
  const connector = fileSource({ path: PATH, tail: true, rotateWaitMs: ROTATE_WAIT_MS, pollMs: 100 })
  const hasWriter = random.chance(0.5)
  let writer = hasWriter ? new Writer(world) : null
  let unread = 0
  await world.start(connector)
  const caughtUp = async (): Promise<boolean> => {
    if (world.source === null || writer?.isBetweenLines !== true || writer.isRotated) return false
    await time.advance(ROTATE_WAIT_MS * (UNREAD_MAX + 2))
    unread = 0
    return true
  }
  for (let step = 0; step < STEPS; step++) {
    const what = random.below(10)
    writer ??= new Writer(world)
    if (what < 4) writer.write(random)
    else if (what === 4 && !writer.isRotated && unread < UNREAD_MAX) {
      writer.rename()
      unread++
      if (random.chance(0.5)) writer.write(random)
      // Shorter than the source waits.
      if (random.chance(0.5)) await time.advance(random.below(ROTATE_WAIT_MS / 2))
      if (random.chance(0.5)) writer.write(random)
      writer.reopen()
    } else if (what === 5 && (await caughtUp())) writer.truncate()
    else if (what === 6) world.crash()
    else if (what === 7) await world.stop()
    else await time.advance(random.below(1500))
    if (world.source === null && random.chance(0.6)) await world.start(connector)
    if (unread === UNREAD_MAX) {
      if (world.source === null) await world.start(connector)
      writer.finish()
      await caughtUp()
    }
  }
  writer?.finish()
  if (world.source === null) await world.start(connector)
  await time.advance(60_000)
  assert.deepEqual(await world.values(), writer?.lines)
  assert.ok(
    world.notices().every((notice) => notice.includes('truncated')),
    world.notices().join('\n'),
  )
  assert.equal(world.source?.status().lag, 0)
  await world.stop()
}

test(`every line once and in order, through rotation, truncation and crashes: ${SEEDS} seeds`, async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    await runSeed(seed).catch((cause: unknown) => {
      throw new Error(`seed ${seed}`, { cause })
    })
  }
})
