// Dead letters over HTTP: grouped, listed, sent back in.
import { MillraceError } from '@millrace/core/engine'
import type { DeadLetterGroup, DeadLetterView, RetryRequest } from '../../api.ts'
import type { PlantContext } from './context.ts'
import { type HttpCall, queryInvalid } from '../http/call.ts'
import type { Route } from '../http/router.ts'
import * as schemas from './schemas.ts'

const LIMIT_MAX = 1000
/** Letters that one request names; for more there are `code` and `operator`. */
const IDS_MAX = 10_000
const STATES = ['open', 'retried', 'discarded'] as const satisfies readonly DeadLetterView['state'][]

export function deadLetterRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/dead-letters',
      access: 'read',
      summary: 'Dead letters grouped by cause; those that were retried or discarded are not counted.',
      parameters: [{ name: 'pipeline', in: 'query', type: 'string', summary: 'Default: all.' }],
      answer: {
        types: ['application/json'],
        summary: 'Groups, the largest first.',
        schema: { type: 'array', items: schemas.LETTER_GROUP },
      },
      refusals: [404],
      handle: (call) => groups(context, call),
    },
    {
      method: 'GET',
      path: '/api/dead-letters/{pipeline}',
      access: 'read',
      summary: 'Dead letters of a pipeline with their original bytes, oldest first.',
      parameters: [
        { name: 'code', in: 'query', type: 'string', summary: 'Only those with this error code.' },
        { name: 'operator', in: 'query', type: 'string', summary: 'Only those of this operator.' },
        { name: 'state', in: 'query', type: 'string', summary: 'Only those that are `open`, `retried` or `discarded`; default: all.' },
        { name: 'from', in: 'query', type: 'integer', default: 0, summary: 'The least id.' },
        { name: 'limit', in: 'query', type: 'integer', default: 100, summary: `At most ${LIMIT_MAX}.` },
      ],
      answer: { types: ['application/json'], summary: 'Letters.', schema: { type: 'array', items: schemas.LETTER } },
      refusals: [400, 404],
      handle: (call) => {
        const letters = context.letters.of(call.params['pipeline'] as string)
        const filter = {
          code: call.text('code', 'an error code') ?? undefined,
          operator: call.text('operator', 'the name of an operator') ?? undefined,
          state: stateOf(call),
        }
        return letters.list(filter, call.number('from', 0, 0, Number.MAX_SAFE_INTEGER), call.number('limit', 100, 1, LIMIT_MAX))
      },
    },
    {
      method: 'POST',
      path: '/api/dead-letters/{pipeline}/discard',
      access: 'change',
      summary: 'Marks dead letters as discarded: they are not open any more, and stay on their topic until retention takes them.',
      body: { types: ['application/json'], summary: '`ids`, or `code` and `operator`.', schema: schemas.RETRY },
      answer: { types: ['application/json'], summary: 'How many were discarded.', schema: schemas.DISCARDED },
      refusals: [400, 404],
      handle: async (call) =>
        context.letters.of(call.params['pipeline'] as string).discard(retryOf(await call.json(['ids', 'code', 'operator']))),
    },
    {
      method: 'POST',
      path: '/api/dead-letters/{pipeline}/retry',
      access: 'change',
      summary: 'Sends dead letters back to the operator that failed, in their original order.',
      body: { types: ['application/json'], summary: '`ids`, or `code` and `operator`.', schema: schemas.RETRY },
      answer: { types: ['application/json'], summary: 'How many are on their way, and why others are not.', schema: schemas.RETRIED },
      refusals: [400, 404],
      handle: async (call) =>
        context.letters.of(call.params['pipeline'] as string).retry(retryOf(await call.json(['ids', 'code', 'operator']))),
    },
  ]
}

function stateOf(call: HttpCall): DeadLetterView['state'] | undefined {
  const text = call.text('state', `one of ${STATES.join(', ')}`)
  const state = STATES.find((one) => one === text)
  if (text !== null && state === undefined) throw queryInvalid('state', text, `one of ${STATES.join(', ')}`)
  return state
}

async function groups(context: PlantContext, call: HttpCall): Promise<readonly DeadLetterGroup[]> {
  const name = call.text('pipeline', 'the name of a pipeline')
  if (name !== null) return context.letters.of(name).groups()
  const all = await Promise.all(context.letters.names().map((pipeline) => context.letters.of(pipeline).groups()))
  return all.flat().toSorted((a, b) => b.count - a.count)
}

function retryOf({ ids, code, operator }: Readonly<Record<string, unknown>>): RetryRequest {
  const refuse = (member: string, expected: string): never => {
    throw new MillraceError('MR_HTTP_BODY_INVALID', { message: `\`${member}\` must be ${expected}.`, details: { member } })
  }
  if (
    ids !== undefined &&
    !(Array.isArray(ids) && ids.length <= IDS_MAX && ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0))
  )
    refuse('ids', `a list of at most ${IDS_MAX} whole numbers`)
  if (code !== undefined && typeof code !== 'string') refuse('code', 'a text')
  if (operator !== undefined && typeof operator !== 'string') refuse('operator', 'a text')
  return {
    ...(ids === undefined ? {} : { ids: ids as readonly number[] }),
    ...(code === undefined ? {} : { code: code as string }),
    ...(operator === undefined ? {} : { operator: operator as string }),
  }
}
