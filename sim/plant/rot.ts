// Bits that flip on the disk: in a record that the pipeline has not read yet, and anywhere in the log at the end.
//
// A flipped bit is reported with file and position; it costs the batch that it lies in at most, and nobody reads anything wrong.
import { fsckFolder, isMillraceError } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'
import type { Feed, Request } from './feed.ts'
import { rawRecords } from './reading.ts'
import type { RawRecord } from './reading.ts'
import { violated } from './violation.ts'
import { LOG_FOLDER } from './world.ts'
import type { World } from './world.ts'

interface Place {
  readonly file: string
  readonly position: number
}

interface Damage extends Place {
  readonly code: string
}

const LEARN_MS = 1_000
const REQUESTS = 4

/**
 * Stops the pipeline, takes in some requests, and flips a bit of one of them where it lies in a segment. The pipeline must pause at that
 * partition alone; then fsck or an operator's choice lets it go on. False when the power went meanwhile.
 */
export async function rot(world: World, feed: Feed, random: Random): Promise<boolean> {
  if (world.rot !== null || world.replay !== null) return true
  if (!(await world.stopPipeline())) return false
  const requests = Array.from({ length: REQUESTS }, () => feed.events())
  for (const request of requests) if ((await world.attempt(feed.send(world.log, request).then(() => true))) === null) return false
  if (!(await world.closeLog())) return false
  const victim = random.pick(requests)
  const part = random.pick(victim.parts)
  const text = new TextEncoder().encode(random.pick(part.texts))
  const places = find(world, text).filter(({ file }) => file.endsWith('.log'))
  if (places.length === 0) {
    world.trace.push('(no record in a segment)')
    return world.start()
  }
  const { file, position } = random.pick(places)
  const flipped = { file, position: position + random.below(text.length) }
  world.disk.flipBit(flipped.file, flipped.position, random.below(8))
  world.rot = { request: victim, part, file: flipped.file, position: flipped.position }
  if (!(await world.start())) return false
  await world.time.advance(LEARN_MS)
  if (world.isDead) return false
  return passRot(world, random)
}

/** A bit that has flipped, and what lies there. */
export interface Rot extends Place {
  readonly request: Request
  readonly part: Request['parts'][number]
}

/** Lets the plant go on behind the damage, if there is one that recovery has not healed. */
export async function passRot(world: World, random: Random): Promise<boolean> {
  const flipped = world.rot
  if (flipped === null) return true
  const { topic, partition } = flipped.part
  const found = await damagesOf(world, topic)
  const others = found.filter((damage) => damage.partition !== partition)
  if (others.length > 0) violated(`a bit of ${topic}/${partition} damaged partition ${others[0]?.partition ?? 0}`)
  const [damage] = found
  if (damage === undefined) {
    world.trace.push('(healed)')
    return true
  }
  if (damage.file !== flipped.file || damage.position > flipped.position)
    violated(`the flipped bit is at ${flipped.file}:${flipped.position}, reported is ${damage.file}:${damage.position}`)
  if (random.chance(0.7)) {
    world.trace.push('(skipped)')
    if ((await world.attempt(world.log.skipCorrupt(topic, partition, damage.offset))) === null) return false
    return world.restart()
  }
  world.trace.push('(fsck)')
  if (!(await world.stop())) return false
  const report = await world.attempt(fsckFolder(world.disk, LOG_FOLDER, { repair: true, clock: world.time, scheduler: world.time }))
  if (report === null) return false
  const finding = report.findings.find(({ file, offset }) => file === flipped.file && offset <= flipped.position)
  if (finding === undefined) violated(`fsck does not find the flipped bit at ${flipped.file}:${flipped.position}`)
  return world.start()
}

/** Places of some bytes in the files of the log. */
function find(world: World, bytes: Uint8Array): readonly Place[] {
  return logFiles(world, LOG_FOLDER).flatMap((file) => {
    const content = readAll(world, file)
    const position = Buffer.from(content.buffer, content.byteOffset, content.length).indexOf(bytes)
    return position < 0 ? [] : [{ file, position }]
  })
}

function logFiles(world: World, folder: string): readonly string[] {
  return world.disk.list(folder).flatMap((name) => {
    const path = `${folder}/${name}`
    const stat = world.disk.stat(path)
    return stat === null || stat.identity.startsWith('folder') ? logFiles(world, path) : [path]
  })
}

function readAll(world: World, path: string): Uint8Array {
  const file = world.disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  for (let at = 0; at < bytes.length;) {
    const count = file.read(bytes.subarray(at), at)
    if (count === 0) break
    at += count
  }
  file.close()
  return bytes
}

/** The first damage of each partition of a topic. */
async function damagesOf(
  world: World,
  topic: string,
): Promise<readonly (Damage & { readonly partition: number; readonly offset: number })[]> {
  const found: (Damage & { readonly partition: number; readonly offset: number })[] = []
  const reader = world.log.reader()
  for (const { partition, start, end } of world.log.ends(topic)) {
    for (let offset = start; offset < end;) {
      const [part] = await world.time.run(reader.fetch([{ topic, partition, offset }], { bytesMax: 32_768 }))
      if (part === undefined || part.next === offset) {
        if (part === undefined || part.error === null) break
        found.push({ partition, offset, ...placeOf(part.error) })
        break
      }
      offset = part.next
    }
  }
  reader.close()
  return found
}

/** What a reader is told of a damage. */
function placeOf(error: Error): Damage {
  if (!isMillraceError(error) || (error.code !== 'MR_LOG_CORRUPT' && error.code !== 'MR_LOG_QUARANTINED')) throw error
  const { file, position } = error.details
  if (typeof file !== 'string' || typeof position !== 'number') violated(`${error.code} names no place: ${error.message}`)
  return { code: error.code, file, position }
}

type Content = ReadonlyMap<string, readonly RawRecord[]>

/**
 * At the end of a run: one bit of any segment, index, journal or slot flips; what can still be read is what was there. For a slot the power
 * goes first, so that it is needed; the log may refuse to open then.
 */
export async function checkRot(world: World): Promise<void> {
  const before = await contentOf(world)
  const random = world.scenario.extras?.random
  const files = logFiles(world, LOG_FOLDER).filter((file) => /\.(log|index)$|\/(journal|checkpoint)-/.test(file))
  if (random === undefined || files.length === 0) return
  const file = random.pick(files)
  const isSlot = file.includes('/checkpoint-')
  if (isSlot) await world.kill()
  else if (!(await world.stop())) violated('the plant does not stop')
  const size = world.disk.stat(file)?.size ?? 0
  if (size === 0) return
  const position = random.below(size)
  world.trace.push(`rot ${file}:${position}`)
  world.disk.flipBit(file, position, random.below(8))
  const opened = await world.startLog().catch((error: unknown) => {
    if (isSlot && isMillraceError(error) && error.code === 'MR_LOG_CORRUPT') return null
    throw error
  })
  if (opened === null) return
  if (!opened) violated('the log does not open with a flipped bit')
  const damages: Damage[] = []
  for (const [name, records] of before) {
    const after = await readBehindDamage(world, name, damages)
    compare(name, records, after, damages.length > 0 || file.includes('journal'))
  }
  for (const damage of damages)
    if (file.endsWith('.log') && damage.file !== file) violated(`a bit flipped in ${file}, reported is ${damage.file}`)
  if (damages.length > 1 && file.endsWith('.log')) violated(`one flipped bit in a segment cost ${damages.length} places`)
  await world.closeLog()
}

async function contentOf(world: World): Promise<Content> {
  const content = new Map<string, readonly RawRecord[]>()
  for (const { name } of world.log.topics()) content.set(name, await rawRecords(world, world.log, name))
  return content
}

/** Reads a topic and skips what is damaged. */
async function readBehindDamage(world: World, topic: string, damages: Damage[]): Promise<readonly RawRecord[]> {
  for (;;) {
    const [damage] = await damagesOf(world, topic)
    if (damage === undefined) return rawRecords(world, world.log, topic)
    damages.push(damage)
    await world.time.run(world.log.skipCorrupt(topic, damage.partition, damage.offset))
  }
}

function compare(topic: string, before: readonly RawRecord[], after: readonly RawRecord[], mayMiss: boolean): void {
  const text = ({ partition, offset, timeMs, key, value }: RawRecord): string =>
    `${partition} ${offset} ${timeMs} ${key === null ? '-' : Buffer.from(key).toString('base64')} ${value === null ? '-' : Buffer.from(value).toString('base64')}`
  const known = new Set(before.map(text))
  for (const record of after)
    if (!known.has(text(record))) violated(`a flipped bit made up a record of ${topic}/${record.partition} at ${record.offset}`)
  if (!mayMiss && after.length < before.length)
    violated(`a flipped bit took ${before.length - after.length} records of ${topic} and nobody is told`)
}
