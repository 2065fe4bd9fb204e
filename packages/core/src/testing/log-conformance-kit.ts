// What the tests of the log port share: opening, short batches, reading a partition to its end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRecords, recordBatch } from '../codec/record-batch.ts'
import type { Log, LogPart, LogReader } from '../log/log.ts'

export interface LogUnderTest {
  readonly log: Log
  /** Lets time pass for the log: its wall clock and its timers. */
  advance(ms: number): Promise<void>
  nowMs(): number
  /** Makes retention and compaction happen now; a log may otherwise do them late and in large pieces. */
  maintain(): Promise<void>
  /** Closes the log in order and opens it again on the same data. */
  reopen(): Promise<LogUnderTest>
  /** Stops the log as a power cut would and opens it again on what survived. */
  crash?(): Promise<LogUnderTest>
  /** Damages the stored bytes of the batch that holds the offset. */
  damage?(topic: string, partition: number, offset: number): Promise<void>
  /** Frees everything: this log, and every one that `reopen` or `crash` has made of it. */
  dispose(): Promise<void>
}

export type LogOpener = () => Promise<LogUnderTest>

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes))

/** A batch of records `key:value`, `value` (no key) or `key:` followed by nothing at all for a deletion (`key:-`). Time is `timeMs` plus the index. */
export function batchOf(
  records: readonly string[],
  timeMs = 1000,
  producer: { id: number; epoch: number; sequence: number } | null = null,
): Uint8Array {
  return recordBatch(
    records.map((record, index) => {
      const colon = record.indexOf(':')
      const value = record.slice(colon + 1)
      return { key: colon < 0 ? null : ascii(record.slice(0, colon)), value: value === '-' ? null : ascii(value), timeMs: timeMs + index }
    }),
    producer === null ? {} : { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence },
  )
}

export function part(topic: string, records: readonly string[], partition = 0, timeMs = 1000): LogPart {
  return { topic, partition, batch: batchOf(records, timeMs) }
}

export interface Seen {
  readonly offset: number
  readonly timeMs: number
  readonly text: string
}

/** Everything visible in the partition from `offset` on, by as many fetches as it takes. Fails on an error and on a fetch that does not move. */
export async function readAll(
  log: Log,
  topic: string,
  partition = 0,
  offset: number = startOf(log, topic, partition),
  bytesMax = 1 << 20,
): Promise<Seen[]> {
  const reader = log.reader()
  const seen: Seen[] = []
  try {
    for (let from = offset; ;) {
      const [one] = await reader.fetch([{ topic, partition, offset: from }], { bytesMax })
      assert.ok(one)
      if (one.error !== null) throw one.error
      seen.push(...seenIn(one.bytes, one.from))
      if (one.next === one.from) {
        assert.equal(one.next, one.end, 'a fetch that gives nothing stands at the end')
        return seen
      }
      assert.ok(one.next > one.from)
      from = one.next
    }
  } finally {
    reader.close()
  }
}

export function seenIn(bytes: Uint8Array, from: number): Seen[] {
  return readRecords(bytes, from).map(({ offset, timeMs, key, value }) => {
    const shown = text(value) ?? '-'
    return { offset, timeMs, text: key === null ? shown : `${text(key)}:${shown}` }
  })
}

export async function textsOf(log: Log, topic: string, partition = 0, offset: number = startOf(log, topic, partition)): Promise<string[]> {
  return (await readAll(log, topic, partition, offset)).map((seen) => seen.text)
}

export function startOf(log: Log, topic: string, partition = 0): number {
  return log.ends(topic)[partition]?.start ?? 0
}

export function endOf(log: Log, topic: string, partition = 0): number {
  return log.ends(topic)[partition]?.end ?? 0
}

/** Asserts that the promise rejects, or the function throws, with the code. */
export async function rejects(action: Promise<unknown> | (() => unknown), code: string): Promise<void> {
  await assert.rejects(
    async () => (typeof action === 'function' ? action() : action),
    (error: unknown) => {
      assert.equal((error as { readonly code?: string }).code, code, String(error))
      return true
    },
  )
}

/** The error code that a fetch reports for a position. */
export async function fetchError(reader: LogReader, topic: string, partition: number, offset: number): Promise<string | null> {
  const [one] = await reader.fetch([{ topic, partition, offset }])
  return (one?.error as { readonly code?: string } | null | undefined)?.code ?? null
}

/** One sentence that holds for every log, and the test of it. */
export interface LogLaw {
  readonly law: string
  readonly run: (under: LogUnderTest) => Promise<void>
}

/** One test with a log of its own. */
export function logTest(log: string, law: string, open: LogOpener, run: (under: LogUnderTest) => Promise<void>): void {
  void test(`${log}: ${law}`, async () => {
    const under = await open()
    try {
      await run(under)
    } finally {
      await under.dispose()
    }
  })
}
