// One table of routes: what is served, who may ask, and the description that /openapi.json gives.
import { MillraceError, nearestWord } from '@millrace/core/engine'
import type { HttpCall } from './call.ts'
import type { Access } from './security.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface Parameter {
  readonly name: string
  readonly in: 'query' | 'header'
  readonly type: 'string' | 'integer' | 'boolean'
  readonly summary: string
  readonly default?: string | number | boolean
}

export interface Route {
  readonly method: Method
  /** `/topics/{topic}`: a name in braces is one segment. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly parameters?: readonly Parameter[]
  /** Media types of the body and what it is. */
  readonly body?: { readonly types: readonly string[]; readonly summary: string; readonly schema: object }
  /** What a 200 holds. */
  readonly answer: { readonly types: readonly string[]; readonly summary: string; readonly schema: object }
  /** Other answers that clients should expect. */
  readonly refusals?: readonly number[]
  /** Returns what is sent as JSON, or ANSWERED. */
  readonly handle: (call: HttpCall) => unknown
}

export interface Found {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

interface Compiled {
  readonly route: Route
  readonly segments: readonly string[]
  readonly query: ReadonlySet<string>
}

/** Paths that were resolved before; a flood of different ones starts over. */
const CACHE_SIZE_MAX = 1024

export class Router {
  readonly routes: readonly Route[]
  readonly #compiled: readonly Compiled[]
  readonly #cache = new Map<string, Found>()

  constructor(routes: readonly Route[]) {
    this.routes = routes
    this.#compiled = routes.map((route) => ({
      route,
      segments: route.path.split('/').slice(1),
      query: new Set((route.parameters ?? []).filter((one) => one.in === 'query').map((one) => one.name)),
    }))
  }

  /** The route of a request. Throws MR_HTTP_ROUTE_UNKNOWN, MR_HTTP_METHOD. */
  find(method: string, path: string): Found {
    const id = `${method} ${path}`
    const known = this.#cache.get(id)
    if (known !== undefined) return known
    const found = this.#resolve(method === 'HEAD' ? 'GET' : method, path)
    if (this.#cache.size >= CACHE_SIZE_MAX) this.#cache.clear()
    this.#cache.set(id, found)
    return found
  }

  #resolve(method: string, path: string): Found {
    const segments = path.split('/').slice(1)
    const allowed: string[] = []
    for (const { route, segments: wanted } of this.#compiled) {
      const params = matched(wanted, segments)
      if (params === null) continue
      if (route.method === method) return { route, params }
      allowed.push(route.method)
    }
    if (allowed.length > 0)
      throw new MillraceError('MR_HTTP_METHOD', {
        details: { method: method.slice(0, 20), path: path.slice(0, 200), allowed: allowed.join(', ') },
      })
    const near = nearestWord(path, new Set(this.routes.map((route) => route.path)))
    throw new MillraceError('MR_HTTP_ROUTE_UNKNOWN', {
      message: `there is nothing at this address${near === null ? '.' : `; did you mean \`${near}\`?`}`,
      details: { path: path.slice(0, 200) },
    })
  }

  /** Throws MR_HTTP_QUERY_INVALID for a parameter that the route does not have: a misspelled one must not be ignored. */
  requireQuery(route: Route, query: URLSearchParams): void {
    const known = this.#compiled.find((other) => other.route === route)?.query ?? new Set<string>()
    for (const name of query.keys()) {
      if (known.has(name)) continue
      const near = nearestWord(name, known)
      throw new MillraceError('MR_HTTP_QUERY_INVALID', {
        message: `there is no parameter \`${name.slice(0, 60)}\`; ${near === null ? `this address takes: ${[...known].join(', ') || 'none'}.` : `did you mean \`${near}\`?`}`,
        details: { parameter: name.slice(0, 60) },
      })
    }
  }
}

function matched(wanted: readonly string[], given: readonly string[]): Readonly<Record<string, string>> | null {
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [index, want] of wanted.entries()) {
    const part = given[index] as string
    if (!want.startsWith('{')) {
      if (want !== part) return null
      continue
    }
    if (part === '') return null
    params[want.slice(1, -1)] = decoded(part)
  }
  return params
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new MillraceError('MR_HTTP_ROUTE_UNKNOWN', {
      message: 'the address is not validly encoded.',
      details: { path: part.slice(0, 200) },
    })
  }
}
