// The HTTP server on node:http: finds the route, checks who asks, runs it, answers errors. It knows no route by name.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { MillraceError } from '@millrace/core/engine'
import { errorOf, sendError, sendJson, statusOf } from './answers.ts'
import type { BodyLimits } from './body.ts'
import { ANSWERED, HttpCall } from './call.ts'
import type { LogLines } from '../watch/log-lines.ts'
import type { Router } from './router.ts'
import { isLoopback, type Security } from './security.ts'

/** Idle connections are kept this long: producers send again and again. */
const KEEP_ALIVE_MS = 65_000
/** A client that takes longer for its headers is cut off. */
const HEADERS_MS = 15_000
/** And for its whole request. */
const REQUEST_MS = 120_000

export interface TlsFiles {
  /** Path of the private key, PEM. */
  readonly key: string
  /** Path of the certificate chain, PEM. */
  readonly cert: string
}

export interface HttpServerOptions {
  readonly host: string
  readonly port: number
  readonly tls: TlsFiles | null
  readonly router: Router
  readonly security: Security
  readonly limits: BodyLimits
  readonly log: LogLines
  /** False while pipelines are being started: everything but health waits for them. */
  readonly isReady: () => boolean
  /** Answers what no route takes (the page); false when it has nothing for the path. */
  readonly fallback: (path: string, request: IncomingMessage, response: ServerResponse) => boolean
}

export interface HttpServer {
  readonly port: number
  readonly url: string
  /** Takes no further connections and requests; resolves when those that were begun are answered. Streams must have been ended. */
  stop(): Promise<void>
  /** Cuts everything off. */
  destroy(): void
}

/** @throws {MillraceError} `MR_SERVER_PORT_TAKEN`, `MR_SERVER_TLS`, `MR_SERVER_ADDRESS`. */
export async function listen(options: HttpServerOptions): Promise<HttpServer> {
  const phase = { isStopping: false }
  const server = makeServer(options.tls, handlerOf(options, phase))
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.headersTimeout = HEADERS_MS
  server.requestTimeout = REQUEST_MS
  await bind(server, options.host, options.port)
  server.on('error', (error) => options.log.write('error', `the HTTP server failed: ${error.message}`))
  const { port } = server.address() as AddressInfo
  const name =
    options.host === '0.0.0.0' || options.host === '::' ? 'localhost' : options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    port,
    url: `${options.tls === null ? 'http' : 'https'}://${name}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        phase.isStopping = true
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
    destroy: () => server.closeAllConnections(),
  }
}

function makeServer(tls: TlsFiles | null, handler: RequestListener): Server {
  if (tls === null) return createServer({ noDelay: true }, handler)
  try {
    return createSecureServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert), noDelay: true }, handler)
  } catch (error) {
    throw new MillraceError('MR_SERVER_TLS', { details: { key: tls.key, cert: tls.cert, reason: (error as Error).message }, cause: error })
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(new MillraceError('MR_SERVER_PORT_TAKEN', { details: { host, port }, cause: error }))
      else {
        const fix = isLoopback(host) ? 'Choose another port with `--port N`.' : 'Set `host` to an address of this machine.'
        reject(
          new MillraceError('MR_SERVER_ADDRESS', {
            message: 'the address cannot be listened on.',
            details: { host, port, reason: error.code ?? error.message },
            fix,
            cause: error,
          }),
        )
      }
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

function handlerOf(options: HttpServerOptions, phase: { readonly isStopping: boolean }): RequestListener {
  const { router, security, limits, log, fallback, isReady } = options
  const fail = (request: IncomingMessage, response: ServerResponse, thrown: unknown): void => {
    const error = errorOf(thrown)
    if (statusOf(error) === 500) {
      log.write('error', error.message, {
        code: error.code,
        fix: error.fix,
        method: request.method ?? '',
        path: pathOf(request.url ?? '').slice(0, 200),
      })
    }
    // What is left of a refused body is read and dropped: a closed connection would lose the answer.
    if (!request.readableEnded) request.resume()
    if (response.headersSent) response.destroy()
    else sendError(response, error)
  }
  const run = async (call: HttpCall, handle: (call: HttpCall) => unknown): Promise<void> => {
    try {
      const value = await handle(call)
      if (value !== ANSWERED) sendJson(call.response, 200, value)
    } catch (error) {
      fail(call.request, call.response, error)
    }
  }
  return (request, response) => {
    const url = request.url ?? '/'
    const at = url.indexOf('?')
    const path = at < 0 ? url : url.slice(0, at)
    const method = request.method ?? 'GET'
    // A client that keeps its connection would keep a stopping server alive.
    if (phase.isStopping) response.shouldKeepAlive = false
    try {
      if ((method === 'GET' || method === 'HEAD') && fallback(path, request, response)) return
      const { route, params } = router.find(method, path)
      security.check(request, route.access)
      if (route.access !== 'open' && !isReady()) throw new MillraceError('MR_SERVER_STARTING')
      const call = new HttpCall(request, response, params, at < 0 ? '' : url.slice(at + 1), limits)
      if (at >= 0) router.requireQuery(route, call.query)
      void run(call, route.handle)
    } catch (error) {
      fail(request, response, error)
    }
  }
}

function pathOf(url: string): string {
  const at = url.indexOf('?')
  return at < 0 ? url : url.slice(0, at)
}
