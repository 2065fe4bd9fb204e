// OpenAPI 3.1 from the table of routes, so that it cannot say anything else than what is served.
import { VERSION } from '../../version.ts'
import type { Route } from './router.ts'
import { ERROR } from '../routes/schemas.ts'

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'The token is missing or wrong.',
  403: 'Refused: a topic of the plant, or a page of another origin.',
  404: 'There is nothing of this name.',
  409: 'It exists already, or cannot be done now.',
  413: 'Larger than the limit, which the error names.',
  415: 'The encoding is not supported.',
  429: 'The server has too much in flight; try again after `Retry-After` seconds.',
  503: 'Not ready.',
  507: 'The disk has less free space than the reserve.',
}

/** The description of these routes. */
export function openApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const methods = (paths[route.path] ??= {})
    methods[route.method.toLowerCase()] = operation(route)
  }
  return {
    openapi: '3.1.0',
    info: { title: 'millrace', version: VERSION, description: 'Collect, keep, process, ship and look at events.' },
    paths,
    components: { schemas: { Error: ERROR }, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{}, { token: [] }],
  }
}

function operation(route: Route): object {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string)
  const refusals = [...(route.access === 'open' ? [] : [401, 403]), ...(route.refusals ?? [])]
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(route.parameters ?? []).map(({ name, in: place, type, summary, default: fallback }) => ({
      name,
      in: place,
      description: summary,
      schema: { type, ...(fallback === undefined ? {} : { default: fallback }) },
    })),
  ]
  const responses: Record<string, object> = {
    200: { description: route.answer.summary, content: contentOf(route.answer.types, route.answer.schema) },
  }
  for (const status of new Set(refusals)) {
    responses[status] = {
      description: REFUSALS[status] ?? 'Refused.',
      content: contentOf(['application/json'], { $ref: '#/components/schemas/Error' }),
    }
  }
  const { body } = route
  return {
    summary: route.summary,
    parameters,
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, description: body.summary, content: contentOf(body.types, body.schema) } }),
    responses,
  }
}

function contentOf(types: readonly string[], schema: object): object {
  return Object.fromEntries(types.map((type) => [type, { schema }]))
}
