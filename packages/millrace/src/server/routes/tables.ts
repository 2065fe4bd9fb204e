// Live tables over HTTP: rows as they were at the last commit.
import type { TablePage, TableQuery } from '@millrace/core/engine'
import type { PlantContext } from '../context.ts'
import type { Exchange } from '../exchange.ts'
import type { Route } from '../router.ts'
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
          summary: 'Values of the whole key, in order, separated by commas; or one `key` per value.',
        },
        {
          name: 'prefix',
          in: 'query',
          type: 'string',
          summary: 'Values that the first fields of the key have exactly, in the same two forms.',
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
      handle: (exchange) => read(context, exchange),
    },
  ]
}

function read(context: PlantContext, exchange: Exchange): Promise<TablePage> {
  const table = exchange.params['table'] as string
  const id = exchange.text('replay', 'the id of a replay')
  const replay = id === null ? null : context.replays.of(id)
  const keyFields = replay === null ? keyFieldCount(context, table) : replay.keyFields(table)
  const key = values(exchange, 'key', keyFields)
  const prefix = values(exchange, 'prefix', keyFields)
  const from = exchange.once('from')
  const to = exchange.once('to')
  const by = exchange.text('by', 'a field of the table')
  const query: TableQuery = {
    ...(key === null ? {} : { key }),
    ...(prefix === null ? {} : { prefix }),
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    ...(by === null ? {} : { by }),
    limit: exchange.number('limit', 1000, 1, LIMIT_MAX),
    descending: exchange.flag('descending'),
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
function values(exchange: Exchange, name: string, keyFields: number): readonly string[] | null {
  const given = exchange.query.getAll(name)
  if (given.length === 0) return null
  return given.length === 1 && keyFields > 1 ? (given[0] as string).split(',') : given
}
