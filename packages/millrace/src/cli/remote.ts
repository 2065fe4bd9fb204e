// Where commands speak to: the server that runs, else a plant without pipelines that this command starts over the folder for its own time.
// So there is one way to do a thing, and files are never opened behind a running server's back.
import { existsSync } from 'node:fs'
import { MillraceError } from '@millrace/core/engine'
import type { ErrorAnswer } from '../api.ts'
import { decodeJson, encodeJson } from '../json.ts'
import { logFolder } from '../server/defaults.ts'
import { readServerFile } from '../server/server-file.ts'
import type { CliContext, Invocation } from './context.ts'

/** An error answer of a server, as the error that it was there. */
export function errorOfAnswer(status: number, text: string): MillraceError {
  try {
    const { error } = JSON.parse(text) as ErrorAnswer
    const lines = (error.lines ?? [])
      .slice(0, 20)
      .map(({ line, field, message }) => `\n  line ${line}${field === null ? '' : `, field \`${field}\``}: ${message}`)
    // The message has its details already.
    return Object.assign(
      new MillraceError(error.code as MillraceError['code'], { message: `${error.message}${lines.join('')}`, fix: error.fix }),
      { details: error.details },
    )
  } catch {
    return foreignServer(status, text)
  }
}

/** Something answers, and in another way than millrace does. */
function foreignServer(status: number, text: string): MillraceError {
  const isPage = /^\s*</.test(text)
  const said = isPage ? 'a page of HTML' : text.trim() === '' ? 'nothing' : `\`${text.trim().slice(0, 80)}\``
  return new MillraceError('MR_SERVER_UNREACHABLE', {
    message: `what answers there is no millrace server: it answered ${status} with ${said}.`,
    fix: 'Name the port of a millrace with `--port`, or leave it out: the data folder (`--data`) says where its server is.',
  })
}

export interface RemoteRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly signal?: AbortSignal
}

export class Remote {
  readonly url: string
  /** True when a server was there before this command. */
  readonly isServer: boolean
  readonly #token: string | null
  readonly #close: () => Promise<void>

  constructor(url: string, isServer: boolean, token: string | null, close: () => Promise<void>) {
    this.url = url
    this.isServer = isServer
    this.#token = token
    this.#close = close
  }

  /** The answer to a request. Throws what the server said, or MR_SERVER_UNREACHABLE. */
  async send(path: string, { method = 'GET', headers = {}, body, signal }: RemoteRequest = {}): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`${this.url}${path}`, {
        method,
        headers: { ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }), ...headers },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      if (signal?.aborted === true) throw error
      const { cause } = error as { readonly cause?: { readonly code?: string } }
      throw new MillraceError('MR_SERVER_UNREACHABLE', {
        details: { url: this.url, reason: cause?.code ?? (error as Error).message },
        cause: error,
      })
    }
    if (!response.ok) throw errorOfAnswer(response.status, await response.text())
    return response
  }

  async json<T>(path: string, value?: unknown, method?: RemoteRequest['method']): Promise<T> {
    const request: RemoteRequest =
      value === undefined
        ? { method: method ?? 'GET' }
        : { method: method ?? 'POST', headers: { 'content-type': 'application/json' }, body: encodeJson(value) }
    const response = await this.send(path, request)
    const text = await response.text()
    if (response.headers.get('content-type') !== 'application/json') throw foreignServer(response.status, text)
    return decodeJson(text) as T
  }

  close(): Promise<void> {
    return this.#close()
  }
}

/** The server to speak to, or null when none runs: the port that was named, else what the data folder says. */
export function findServer({ settings, options }: Invocation): Remote | null {
  const nothing = async (): Promise<void> => undefined
  if (typeof options['port'] === 'string') {
    const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host
    return new Remote(`${settings.tlsKey === null ? 'http' : 'https'}://${host}:${settings.port}`, true, settings.token, nothing)
  }
  const file = readServerFile(settings.data)
  return file === null ? null : new Remote(file.url, true, settings.token, nothing)
}

/**
 * Runs with the server, or with the folder when no server runs.
 * @param options.create Makes the folder when it does not exist; otherwise that is MR_SERVER_UNREACHABLE.
 */
export async function withRemote(
  context: CliContext,
  invocation: Invocation,
  options: { readonly create: boolean },
  run: (remote: Remote) => Promise<number>,
): Promise<number> {
  const remote = findServer(invocation) ?? (await openFolder(context, invocation, options.create))
  try {
    return await run(remote)
  } finally {
    await remote.close()
  }
}

async function openFolder(context: CliContext, { settings }: Invocation, create: boolean): Promise<Remote> {
  if (!create && !existsSync(logFolder(settings.data))) {
    throw new MillraceError('MR_SERVER_UNREACHABLE', {
      message: 'no server runs for this folder, and the folder has no data.',
      details: { folder: settings.data },
      fix: 'Start a pipeline with `npx millrace start FILE`, or name its folder with `--data` or its port with `--port`.',
    })
  }
  const { clock, scheduler, disk } = context
  // Loaded when it is needed: most commands speak to a server that runs.
  const { startPlant } = await import('../server/plant.ts')
  const plant = await startPlant({ folder: settings.data, pipelines: [], port: 0, clock, scheduler, disk, announce: false })
  return new Remote(plant.url, false, null, () => plant.stop())
}
