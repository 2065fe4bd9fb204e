// Load and observer of the latency rows, a process of its own. Posts a fixed number of events per second, whatever the answers take, and asks
// the table again and again how many events it has counted; the k-th posted event is visible once the table has counted more than k.
import { Connection, httpRequest } from './http-client.ts'
import { quantile } from './measure.ts'

export interface LatencyOrder {
  readonly port: number
  readonly topic: string
  /** Target of the table's one row, with the column `events`. */
  readonly visible: string
  readonly eventsPerSecond: number
  readonly warmupMs: number
  readonly measuredMs: number
}

export interface LatencyMessage {
  readonly posted: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly polls: number
}

const CONNECTIONS = 64
const KEYS = 10_000
const COUNTED = /"events":(\d+)/

async function main(order: LatencyOrder): Promise<void> {
  const { port, eventsPerSecond, warmupMs, measuredMs } = order
  const total = Math.floor((eventsPerSecond * (warmupMs + measuredMs)) / 1000)
  const postedAt = new Float64Array(total)
  const latencies = new Float64Array(total)
  const pool = await Promise.all(Array.from({ length: CONNECTIONS }, () => Connection.open(port)))
  const watcher = await Connection.open(port)
  const question = httpRequest(port, 'GET', order.visible, '', '')
  const startedAt = performance.now()
  let posted = 0
  let visible = 0
  let polls = 0
  const failures: Error[] = []

  const post = (): void => {
    const now = performance.now()
    const due = Math.min(total, Math.floor(((now - startedAt) / 1000) * eventsPerSecond))
    const connection = pool.find((one) => !one.isBusy)
    if (due > posted && connection !== undefined) {
      let body = ''
      for (; posted < due; posted++) {
        postedAt[posted] = now
        body += `{"id":${posted},"key":${(posted * 7919) % KEYS},"at":${Math.floor(Date.now())}}\n`
      }
      connection.send(httpRequest(port, 'POST', `/topics/${order.topic}`, 'application/x-ndjson', body)).then(
        ({ status, body: answer }) => {
          if (status !== 200) failures.push(new Error(`the server answered ${status}: ${answer}`))
        },
        (error: Error) => failures.push(error),
      )
    }
    if (posted < total && failures.length === 0) setTimeout(post, 1)
  }
  post()
  while (visible < total && failures.length === 0) {
    const answer = await watcher.send(question)
    polls++
    const now = performance.now()
    const counted = Number(COUNTED.exec(answer.body)?.[1] ?? 0)
    for (; visible < counted && visible < posted; visible++) latencies[visible] = now - (postedAt[visible] as number)
    if (now - startedAt > warmupMs + measuredMs + 30_000) throw new Error(`after 30 s the table has counted ${counted} of ${posted} events`)
  }
  if (failures.length > 0) throw failures[0] ?? new Error('a request failed')
  const measured = latencies.subarray(Math.floor((eventsPerSecond * warmupMs) / 1000))
  const message: LatencyMessage = {
    posted,
    polls,
    p50Ms: quantile(measured, 0.5),
    p99Ms: quantile(measured, 0.99),
    maxMs: quantile(measured, 1),
  }
  process.send?.(message, () => process.exit(0))
}

await main(JSON.parse(process.argv[2] ?? '{}') as LatencyOrder)
