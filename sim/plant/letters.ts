// Dead letters on their way back: some are moved to the retry partitions of their tasks by one commit, as the server does it; how often each
// record has been moved is read from the log, so a crash in between leaves nothing in doubt.
import { deadLetterTopic, decodeLetter, recordBatch, retryTopic } from '@millrace/core/engine'
import type { DeadLetterHead, LogPart, RunningPipeline } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'
import { rawRecords } from './reading.ts'
import { violated } from './violation.ts'
import type { World } from './world.ts'

/** How often a record has been sent back to an operator. */
export type Moves = ReadonlyMap<string, number>

export interface Origin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export function originKey(operator: string, { topic, partition, offset }: Origin): string {
  return `${operator} ${topic}/${partition}@${offset}`
}

interface StoredLetter {
  readonly head: DeadLetterHead
  readonly value: Uint8Array
}

async function lettersOn(world: World, topic: string): Promise<readonly StoredLetter[]> {
  if (world.log.topic(topic) === null) return []
  return (await rawRecords(world, world.log, topic)).map(({ value }) => {
    const bytes = value ?? violated(`an empty dead letter on ${topic}`)
    return { head: decodeLetter(bytes, 0, bytes.length).head, value: bytes }
  })
}

async function movedLetters(world: World, pipeline: RunningPipeline): Promise<readonly StoredLetter[]> {
  const lists = []
  for (const part of pipeline.topology.parts) lists.push(await lettersOn(world, retryTopic(pipeline.plan.pipeline, part.name)))
  return lists.flat()
}

export async function readMoves(world: World): Promise<Moves> {
  const moves = new Map<string, number>()
  for (const { head } of await movedLetters(world, world.pipeline)) {
    const key = originKey(head.operator, head)
    moves.set(key, (moves.get(key) ?? 0) + 1)
  }
  return moves
}

/** Sends about that share of the letters back which nobody has sent back yet. */
export async function retryLetters(world: World, random: Random, share: number): Promise<void> {
  const { pipeline } = world
  const name = pipeline.plan.pipeline
  const attempt = ({ head }: StoredLetter): string => `${originKey(head.operator, head)} ${head.attempt}`
  const moved = new Set((await movedLetters(world, pipeline)).map(attempt))
  const chosen = (await lettersOn(world, deadLetterTopic(name))).filter((letter) => !moved.has(attempt(letter)) && random.chance(share))
  const targets = Map.groupBy(chosen, ({ head }) => `${retryTopic(name, head.part)} ${head.group}`)
  const parts: LogPart[] = [...targets.values()].map((letters) => {
    const { part, group } = (letters[0] as StoredLetter).head
    const batch = recordBatch(letters.map(({ head, value }) => ({ key: null, value, timeMs: head.atMs })))
    return { topic: retryTopic(name, part), partition: group, batch }
  })
  if (parts.length === 0) return
  const writer = await world.attempt(world.log.openWriter(`__${name}.dead-letter-marks`))
  if (writer !== null) await world.attempt(writer.commit(parts))
}
