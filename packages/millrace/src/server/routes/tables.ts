// Live tables over HTTP: rows as they were at the last commit.
import type { TablePage, TableQuery } from '@millrace/core/engine'
import type { PlantContext } from './context.ts'
import type { HttpCall } from '../http/call.ts'
import type { Route } from '../http/router.ts'
import * as schemas from './schemas.ts'

const LIMIT_MAX = 100_000

export function tableRoutes(context: PlantContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/tables',
      access: 'read',
      summary: 'Lists the tables of the running pipelines.',
      answer: { types: ['application/json'], summary: 'Tables.', schema: { type: 'array', items: schemas.TABLE } },
      handle: () =>
        Array.from(context.pipelines.running.values(), ({ name, running }) =>
          running.status().tables.map((table) => ({ pipeline: name, ...table })),
        ).flat(),
    },
    {
      method: 'GET',
      path: '/tables/{table}',
      access: 'read',
      summary: 'Reads rows of a live table: by key, by the first fields of the key, or by a range.',
      parameters: [
        {
          name: 'key',
          in: 'query',
          type: 'string',
          summary:
            'Values of the whole key, in order, separated by commas; or one `key` per value. Where a field may be null, `null` is null, and the text is `"null"`.',
        },
        {
          name: 'prefix',
          in: 'query',
          type: 'string',
          summary: 'Values that the first fields of the key have exactly, in the same two forms, null too.',
        },
        {
          name: 'from',
          in: 'query',
          type: 'string',
          summary:
            'Least value, inclusive, of the key field behind the prefix; without a prefix, of the first. Texts that begin with `/pri`: `from=/pri&to=/prj`.',
        },
        { name: 'to', in: 'query', type: 'string', summary: 'Largest value, exclusive.' },
        { name: 'replay', in: 'query', type: 'string', summary: 'Id of a replay: its table instead of the live one.' },
        { name: 'limit', in: 'query', type: 'integer', default: 1000, summary: `Rows, at most ${LIMIT_MAX}.` },
        {
          name: 'by',
          in: 'query',
          type: 'string',
          summary: 'Field to order by, and then by the key; default: by the key. The newest windows: `by=windowStart&descending=true`.',
        },
        { name: 'descending', in: 'query', type: 'boolean', default: false, summary: 'Largest first.' },
      ],
      answer: { types: ['application/json'], summary: 'Rows, in the order asked for.', schema: schemas.TABLE_PAGE },
      refusals: [400, 404, 503],
      handle: (call) => read(context, call),
    },
  ]
}

function read(context: PlantContext, call: HttpCall): Promise<TablePage> {
  const table = call.params['table'] as string
  const id = call.text('replay', 'the id of a replay')
  const replay = id === null ? null : context.replays.of(id)
  const keyFields = replay === null ? keyFieldCount(context, table) : replay.keyFields(table)
  const key = values(call, 'key', keyFields)
  const prefix = values(call, 'prefix', keyFields)
  const from = call.once('from')
  const to = call.once('to')
  const by = call.text('by', 'a field of the table')
  const query: TableQuery = {
    texts: true,
    ...(key === null ? {} : { key }),
    ...(prefix === null ? {} : { prefix }),
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    ...(by === null ? {} : { by }),
    limit: call.number('limit', 1000, 1, LIMIT_MAX),
    descending: call.flag('descending'),
  }
  return replay === null ? context.pipelines.table(table, query) : replay.table(table, query)
}

function keyFieldCount(context: PlantContext, table: string): number {
  for (const { running } of context.pipelines.running.values()) {
    const known = running.topology.tables.find((one) => one.name === table)
    if (known !== undefined) return known.primaryKey.length
  }
  return 1
}

/** `key=a,b` or `key=a&key=b`. A comma in the only field of a key is part of the value. */
function values(call: HttpCall, name: string, keyFields: number): readonly string[] | null {
  const given = call.query.getAll(name)
  if (given.length === 0) return null
  return given.length === 1 && keyFields > 1 ? (given[0] as string).split(',') : given
}
