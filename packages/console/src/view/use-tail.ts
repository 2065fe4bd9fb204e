// Follows a topic: one short request per partition and turn, from where the last one ended, so that few connections are held.
import { useEffect, useRef, useState } from 'react'
import type { TopicStatus } from 'millrace/api'
import { getTail } from '../feed/requests.ts'
import type { TailState } from '../model/tail-buffer.ts'
import { EMPTY_TAIL, jumpToEnd, TAIL_BATCH, takeAnswer } from '../model/tail-buffer.ts'

const EVERY_MS = 500
/** Only the first request of a turn waits at the server; it must not hold the others up. */
const WAIT_MS = 400

export interface Tailing {
  readonly state: TailState
  readonly error: Error | null
}

/** Finds the end of a partition, and goes back a little from it. */
async function goToEnd(topic: string, partition: number, state: TailState, signal: AbortSignal): Promise<TailState> {
  const end = await getTail({ topic, partition, from: 'latest', limit: 1, waitMs: 0 }, signal)
  return end.next === null ? state : jumpToEnd(state, partition, end.next)
}

async function turn(topic: string, partitions: number, state: TailState, signal: AbortSignal): Promise<TailState> {
  let current = state
  for (let partition = 0; partition < partitions; partition++) {
    if (!current.next.has(partition)) current = await goToEnd(topic, partition, current, signal)
    const from = current.next.get(partition) ?? 'latest'
    const waitMs = partitions === 1 ? WAIT_MS : 0
    const answer = await getTail({ topic, partition, from, limit: TAIL_BATCH, waitMs }, signal)
    current = takeAnswer(current, partition, answer)
    if (answer.records.length >= TAIL_BATCH) current = await goToEnd(topic, partition, current, signal)
  }
  return current
}

/** The newest records of the topic; stands still while `paused` or while the page is hidden. */
export function useTail(topic: TopicStatus, paused: boolean): Tailing {
  const [tailing, setTailing] = useState<Tailing>({ state: EMPTY_TAIL, error: null })
  // What was read before a pause stays; what came meanwhile is skipped and counted when it is too much.
  const newest = useRef(EMPTY_TAIL)
  const { name, partitions } = topic
  useEffect(() => {
    if (paused) return undefined
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const run = async (): Promise<void> => {
      if (!document.hidden) {
        try {
          const state = await turn(name, partitions, newest.current, abort.signal)
          if (!abort.signal.aborted) {
            newest.current = state
            setTailing({ state, error: null })
          }
        } catch (error) {
          if (!abort.signal.aborted) setTailing({ state: newest.current, error: error as Error })
        }
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void run(), EVERY_MS)
    }
    timer = setTimeout(() => void run(), 0)
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [name, partitions, paused])
  return tailing
}
