// Serves the built page with a simulated plant behind it: for looking at the page and for its browser test, without a pipeline.
//   npm run sample -w packages/console [-- --port 4700]
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { RetryRequest } from 'millrace/api'
import { SamplePlant } from './sample-plant.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

export interface SampleServer {
  readonly address: string
  readonly plant: SamplePlant
  /** While true every request of the API is cut off, as if the server were gone. */
  setLost(lost: boolean): void
  close(): Promise<void>
}

/** JSON has no infinities. */
function encode(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (each === Infinity ? '+inf' : each === -Infinity ? '-inf' : each))
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(encode(value))
}

const TOKEN_WANTED = {
  error: { code: 'MR_HTTP_TOKEN', message: 'The token is missing or wrong.', fix: 'Send `Authorization: Bearer TOKEN`.', details: {} },
}

function sendUnknown(response: ServerResponse, what: string): void {
  const error = {
    code: 'MR_HTTP_NOT_FOUND',
    message: `There is nothing at ${what}.`,
    fix: 'See GET /api/status for the names.',
    details: {},
  }
  sendJson(response, { error }, 404)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function sendFile(response: ServerResponse, dist: string, name: string): void {
  const file = path.join(dist, name === '/' ? 'index.html' : path.normalize(name))
  if (!existsSync(file)) {
    response.writeHead(404).end()
    return
  }
  const type = TYPES[path.extname(file)] ?? 'application/octet-stream'
  response.writeHead(200, { 'content-type': type, 'content-security-policy': "default-src 'self'" }).end(readFileSync(file))
}

function sendTail(response: ServerResponse, plant: SamplePlant, topic: string, query: URLSearchParams): void {
  const answer = plant.tail(topic, Number(query.get('partition') ?? 0), query.get('from') ?? 'latest', Number(query.get('limit') ?? 100))
  if (answer === null) return sendUnknown(response, topic)
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'millrace-next-offset': String(answer.next) })
  response.end(answer.records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}

function sendTable(response: ServerResponse, plant: SamplePlant, name: string, query: URLSearchParams): void {
  const page = plant.table(name, {
    prefix: query.getAll('prefix'),
    from: query.get('from'),
    to: query.get('to'),
    by: query.get('by'),
    descending: query.get('descending') === 'true',
    limit: Number(query.get('limit') ?? 100),
  })
  if (page === null) sendUnknown(response, name)
  else sendJson(response, page)
}

/** Starts on a free port, or on the one given. The plant moves every second. */
export async function startSampleServer(options: {
  readonly dist: string
  readonly port?: number
  readonly token?: string
}): Promise<SampleServer> {
  const plant = new SamplePlant({ seed: 7, nowMs: Date.now() })
  const streams = new Set<ServerResponse>()
  let lost = false
  const api = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const [, first, second, third, fourth] = url.pathname.split('/').map(decodeURIComponent)
    if (first === 'topics') return sendTail(response, plant, second ?? '', url.searchParams)
    if (first === 'tables') return sendTable(response, plant, second ?? '', url.searchParams)
    if (second === 'status') return sendJson(response, plant.status())
    if (second === 'events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      response.write(`data: ${encode(plant.status())}\n\n`)
      streams.add(response)
      response.on('close', () => streams.delete(response))
      return
    }
    if (second !== 'dead-letters') return sendUnknown(response, url.pathname)
    if (third === undefined) return sendJson(response, plant.letterGroups())
    if (fourth === 'retry' && request.method === 'POST')
      return sendJson(response, plant.retry(JSON.parse(await readBody(request)) as RetryRequest))
    if (fourth === 'discard' && request.method === 'POST')
      return sendJson(response, plant.discard(JSON.parse(await readBody(request)) as RetryRequest))
    const letters = plant.letters(url.searchParams.get('code'), url.searchParams.get('operator'))
    sendJson(response, letters.slice(0, Number(url.searchParams.get('limit') ?? 100)))
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (!/^\/(api|topics|tables)\//.test(url.pathname)) sendFile(response, options.dist, url.pathname)
    else if (lost) request.destroy()
    else if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`)
      sendJson(response, TOKEN_WANTED, 401)
    else void api(request, response, url)
  })
  const timer = setInterval(() => {
    plant.step(Date.now())
    for (const stream of streams) stream.write(`data: ${encode(plant.status())}\n\n`)
  }, 1000)
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    plant,
    setLost(value) {
      lost = value
      if (value) for (const stream of streams) stream.destroy()
    },
    async close() {
      clearInterval(timer)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '4700' } } })
  const server = await startSampleServer({ dist: path.join(import.meta.dirname, '../dist'), port: Number(values.port) })
  process.stdout.write(`the page with a simulated plant: ${server.address}\n`)
}
