// One call over HTTP, as routes see it: the request and its answer.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError, nearestWord } from '@millrace/core/engine'
import { decodeJson } from '../../json.ts'
import { type BodyLimits, readBody } from './body.ts'

/** A route that has answered by itself returns this. */
export const ANSWERED: unique symbol = Symbol('answered')

const NO_QUERY = new URLSearchParams()

export class HttpCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly #limits: BodyLimits

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    params: Readonly<Record<string, string>>,
    query: string,
    limits: BodyLimits,
  ) {
    this.request = request
    this.response = response
    this.params = params
    this.query = query === '' ? NO_QUERY : new URLSearchParams(query)
    this.#limits = limits
  }

  header(name: string): string | null {
    const value = this.request.headers[name]
    return typeof value === 'string' ? value : null
  }

  /** True when the client named this media type in `Accept`. */
  accepts(type: string): boolean {
    return this.header('accept')?.includes(type) ?? false
  }

  /** The whole decompressed body. Throws MR_HTTP_BODY_*. */
  body(): Promise<Buffer> {
    return readBody(this.request, this.response, this.#limits)
  }

  /** The body as a JSON object, whose members are all among `known`. Throws MR_HTTP_BODY_INVALID. */
  async json(known: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const text = (await this.body()).toString('utf8')
    let value: unknown
    try {
      value = decodeJson(text.trim() === '' ? '{}' : text)
    } catch (error) {
      throw new MillraceError('MR_HTTP_BODY_INVALID', { message: `the body is not valid JSON: ${(error as Error).message}.`, cause: error })
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new MillraceError('MR_HTTP_BODY_INVALID', { message: 'the body must be a JSON object.' })
    }
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue
      const near = nearestWord(name, known)
      throw new MillraceError('MR_HTTP_BODY_INVALID', {
        message: `the body has no member \`${name}\`; ${near === null ? `there are: ${known.join(', ')}.` : `did you mean \`${near}\`?`}`,
        details: { member: name },
      })
    }
    return value as Readonly<Record<string, unknown>>
  }

  /** A whole number of the query. Throws MR_HTTP_QUERY_INVALID. */
  number(name: string, fallback: number, least: number, most: number): number {
    const text = this.once(name)
    if (text === null) return fallback
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw queryInvalid(name, text, `a whole number from ${least} to ${most}`)
  }

  /** A text of the query, null without one. Throws MR_HTTP_QUERY_INVALID for one that is empty, since nothing was meant by it. */
  text(name: string, expected: string): string | null {
    const text = this.once(name)
    if (text === '') throw queryInvalid(name, text, expected)
    return text
  }

  /** What the query says of a parameter that has one value. Throws MR_HTTP_QUERY_INVALID. */
  once(name: string): string | null {
    const given = this.query.getAll(name)
    if (given.length > 1) throw queryInvalid(name, given.join(' '), 'given once')
    return given[0] ?? null
  }

  /** `true` or `false` of the query. Throws MR_HTTP_QUERY_INVALID. */
  flag(name: string): boolean {
    const text = this.once(name)
    if (text === null || text === 'false') return false
    if (text === 'true' || text === '') return true
    throw queryInvalid(name, text, 'true or false')
  }
}

export function queryInvalid(name: string, value: string, expected: string): MillraceError {
  return new MillraceError('MR_HTTP_QUERY_INVALID', {
    message: `\`${name}\` must be ${expected}.`,
    details: { parameter: name, value: value.slice(0, 80) },
  })
}
