// Who may ask for what: the Host that a request names, the Origin of a page that sent it, and the token.
// A page of another site can make a browser send requests here. It cannot choose their Host (so a name that was bound to 127.0.0.1 is refused)
// nor hide its Origin (so what changes something is refused).
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isMillraceError, MillraceError } from '@millrace/core/engine'

/** open: anybody. read: with the token. change: with the token, and never for a page of another origin. */
export type Access = 'open' | 'read' | 'change'

export interface SecurityOptions {
  readonly host: string
  /** Further names under which clients reach the server. */
  readonly hosts: readonly string[]
  readonly token: string | null
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]', '::1'])

/** True for names and addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || /^127\.\d+\.\d+\.\d+$/.test(host)
}

export class Security {
  readonly #options: SecurityOptions
  readonly #token: Buffer | null
  /** Host headers that were let through, so that the common case is one look. */
  readonly #known = new Set<string>()

  constructor(options: SecurityOptions) {
    this.#options = options
    this.#token = options.token === null ? null : digest(options.token)
  }

  /** @throws {MillraceError} `MR_HTTP_HOST_REFUSED`, `MR_HTTP_ORIGIN_REFUSED`, `MR_HTTP_TOKEN`. */
  check(request: IncomingMessage, access: Access): void {
    if (access === 'open') return
    const host = request.headers.host ?? ''
    if (!this.#known.has(host)) this.#checkHost(host)
    if (access === 'change') checkOrigin(request, host)
    if (this.#token !== null) this.#checkToken(request, this.#token)
  }

  /** True when a request may read: of what is open to everybody, it may see also what is not for strangers. */
  mayRead(request: IncomingMessage): boolean {
    try {
      this.check(request, 'read')
      return true
    } catch (error) {
      if (isMillraceError(error)) return false
      throw error
    }
  }

  #checkHost(host: string): void {
    const name = host.replace(/:\d+$/, '').toLowerCase()
    const { hosts, host: own, token } = this.#options
    // A token is not sent by a browser on its own, so with one, and without a list of names, the name does not matter.
    const isAllowed = isLoopback(name) || name === own.toLowerCase() || hosts.includes(name) || (token !== null && hosts.length === 0)
    if (!isAllowed || name === '') throw new MillraceError('MR_HTTP_HOST_REFUSED', { details: { host: host.slice(0, 100) } })
    // Bounded: only names that were let through are kept, and a flood of ports starts over.
    if (this.#known.size > 64) this.#known.clear()
    this.#known.add(host)
  }

  #checkToken(request: IncomingMessage, token: Buffer): void {
    const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined || !timingSafeEqual(digest(given.trim()), token)) throw new MillraceError('MR_HTTP_TOKEN')
  }
}

function checkOrigin(request: IncomingMessage, host: string): void {
  const { origin } = request.headers
  if (origin === undefined) {
    // Browsers say where a request comes from even where they leave `Origin` out.
    const site = request.headers['sec-fetch-site']
    if (site === undefined || site === 'same-origin' || site === 'none') return
    throw new MillraceError('MR_HTTP_ORIGIN_REFUSED', { details: { site: String(site).slice(0, 40) } })
  }
  if (origin === `http://${host}` || origin === `https://${host}`) return
  throw new MillraceError('MR_HTTP_ORIGIN_REFUSED', { details: { origin: origin.slice(0, 100), host } })
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
