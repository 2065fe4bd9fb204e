// The load generator of the HTTP rows, a process of its own: posts events with the ids 0, 1, 2 ... until all are acknowledged.
// node http-load.ts '{"port":...,"topic":...,"eventsPerRequest":...,"events":...,"connections":...}'; tells its parent `start` and `end`.
import { Connection, httpRequest } from './http-client.ts'

export interface LoadOrder {
  readonly port: number
  readonly topic: string
  readonly events: number
  readonly eventsPerRequest: number
  readonly connections: number
}

export interface LoadMessage {
  readonly kind: 'start' | 'end'
  readonly acknowledged: number
}

const EXTRA = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'

/** About 200 bytes. */
export function eventText(id: number): string {
  return `{"id":${id},"auction":${(id * 7919) % 10_000},"price":${(id * 31) % 10_000},"channel":"Google","url":"https://www.nexmark.com/item.htm?query=${id % 1000}","dateTime":${1_700_000_000_000 + id},"extra":"${EXTRA}"}`
}

function bodyOf(from: number, to: number): string {
  let body = ''
  for (let id = from; id < to; id++) body += id === from ? eventText(id) : `\n${eventText(id)}`
  return body
}

async function main(order: LoadOrder): Promise<void> {
  const { port, topic, events, eventsPerRequest } = order
  const type = eventsPerRequest === 1 ? 'application/json' : 'application/x-ndjson'
  const connections = await Promise.all(Array.from({ length: order.connections }, () => Connection.open(port)))
  let next = 0
  let acknowledged = 0
  process.send?.({ kind: 'start', acknowledged } satisfies LoadMessage)
  const work = async (connection: Connection): Promise<void> => {
    while (next < events) {
      const from = next
      next = Math.min(events, from + eventsPerRequest)
      const to = next
      const request = httpRequest(port, 'POST', `/topics/${topic}`, type, bodyOf(from, to))
      let answer = await connection.send(request)
      // 429 is backpressure: the same again.
      while (answer.status === 429) answer = await connection.send(request)
      if (answer.status !== 200) throw new Error(`the server answered ${answer.status}: ${answer.body}`)
      acknowledged += to - from
    }
  }
  await Promise.all(connections.map(work))
  process.send?.({ kind: 'end', acknowledged } satisfies LoadMessage, () => process.exit(0))
}

if (process.argv[1] === import.meta.filename) await main(JSON.parse(process.argv[2] ?? '{}') as LoadOrder)
