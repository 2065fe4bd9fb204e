// Steps of the simulated pipelines: stateless ones, joins, dedupe and `through`, each with its oracle.
import { EVENT } from './rows.ts'
import { expr, fileTable, t, topic } from '@millrace/core'
import type { Random } from '@millrace/core/connect'
import { originKey } from './letters.ts'
import type { Event, Flow, OracleRow } from './rows.ts'
import type { Step } from './recipe.ts'
import { sameTexts, violated } from './violation.ts'

/** Longer than the event time of any run: what is seen once is remembered. */
const EVER_MS = 40 * 86_400_000
export const FACTORS_FILE = 'files/factors.csv'
export const FACTORS: ReadonlyMap<string, number> = new Map([
  ['s0', 1.5],
  ['s1', 2],
  ['s3', 0.25],
])
export const FACTORS_CSV = `shop,factor\n${[...FACTORS].map((pair) => pair.join(',')).join('\n')}\n`

const factors = fileTable({
  name: 'factors',
  path: FACTORS_FILE,
  format: 'csv',
  value: t.object({ shop: t.string(), factor: t.f64() }),
  key: 'shop',
})
export const PRICES = topic('prices', { value: t.object({ key: t.string(), factor: t.f64() }), key: 'key', compacted: true })

/** Names of operators: stable, and unique in a pipeline. */
export type Name = (stem: string) => string

export type StepMaker = (random: Random, name: Name) => Step

function withValue(row: OracleRow, value: Partial<Event>): OracleRow {
  return { ...row, value: { ...row.value, ...value } }
}

const filterExpression: StepMaker = (random, naming) => {
  const name = naming('above')
  const least = random.below(40)
  return {
    label: `filter amount >= ${least} (expr)`,
    build: (flow) =>
      flow.filter(
        expr((row) => row.amount.gte(least)),
        { name },
      ),
    expect: (rows) => rows.filter((row) => row.value.amount >= least),
  }
}

const filterLambda: StepMaker = (random, naming) => {
  const name = naming('odd')
  const rest = random.below(5)
  return {
    label: `filter id % 5 != ${rest} (lambda)`,
    build: (flow) => flow.filter((row) => row.id % 5 !== rest, { name }),
    expect: (rows) => rows.filter((row) => row.value.id % 5 !== rest),
  }
}

const mapLambda: StepMaker = (_random, naming) => {
  const name = naming('doubled')
  return {
    label: 'map amount * 2 (lambda)',
    build: (flow) => flow.map((row) => ({ ...row, amount: row.amount * 2 }), { name, value: EVENT }),
    expect: (rows) => rows.map((row) => withValue(row, { amount: row.value.amount * 2 })),
  }
}

const throwing: StepMaker = (random, naming) => {
  const name = naming('throwing')
  const unlucky = random.below(13)
  return {
    label: `map that throws on amount % 13 = ${unlucky}`,
    build: (flow) =>
      flow.map(
        (row) => {
          if (row.amount % 13 === unlucky) throw new Error('unlucky')
          return { ...row, shop: row.shop }
        },
        { name, value: EVENT },
      ),
    expect: (rows, { letters }) => {
      for (const row of rows)
        if (row.value.amount % 13 === unlucky)
          letters.push({ operator: name, code: 'MR_RUNTIME_USER_THROW', subject: String(row.value.id) })
      return rows.filter((row) => row.value.amount % 13 !== unlucky)
    },
  }
}

/** Whether user code fails: somebody mends it in the middle of a run. */
export interface Repair {
  broken: boolean
}

/** Code that is broken at first. A row that failed is through as soon as it was sent back as often as it has failed. */
export const flaky = (repair: Repair): StepMaker => {
  return (random, naming) => {
    const name = naming('flaky')
    const unlucky = random.below(7)
    const fails = (amount: number): boolean => amount % 7 === unlucky
    return {
      label: `map that throws on amount % 7 = ${unlucky} until it is mended`,
      build: (flow) =>
        flow.map(
          (row) => {
            if (repair.broken && fails(row.amount)) throw new Error('not mended yet')
            return { ...row, shop: row.shop }
          },
          { name, value: EVENT },
        ),
      expect: (rows, { letters, seenLetters, moves }) => {
        const failures = new Map<string, number>()
        for (const letter of seenLetters)
          if (letter.operator === name) failures.set(originKey(name, letter), (failures.get(originKey(name, letter)) ?? 0) + 1)
        return rows.filter((row) => {
          const key = originKey(name, row)
          const [failed, moved] = [failures.get(key) ?? 0, moves.get(key) ?? 0]
          if (failed > 0 && !fails(row.value.amount)) violated(`${key} has failed and cannot`)
          if (moved > failed) violated(`${key} was sent back ${moved} times and has failed ${failed} times`)
          for (let count = 0; count < failed; count++)
            letters.push({ operator: name, code: 'MR_RUNTIME_USER_THROW', subject: String(row.value.id) })
          return failed === moved
        })
      },
    }
  }
}

const project: StepMaker = (_random, naming) => {
  const name = naming('project')
  return {
    label: 'select with amount + 1 (expr)',
    build: (flow) =>
      flow.select(
        { id: 'id', key: 'key', shop: 'shop', amount: expr((row) => row.amount.plus(1)), at: 'at', extra: 'extra' },
        { name },
      ) as unknown as Flow,
    expect: (rows) => rows.map((row) => withValue(row, { amount: row.value.amount + 1 })),
  }
}

const branchAndMerge: StepMaker = (random, naming) => {
  const name = naming('branch')
  const limit = 20 + random.below(60)
  return {
    label: `branch at amount ${limit}, one side changed, merged`,
    build: (flow) => {
      const { large, rest } = flow.branch({ large: expr((row) => row.amount.gt(limit)) }, { name })
      const marked = large.map((row) => ({ ...row, shop: `${row.shop}+` }), { name: naming('marked'), value: EVENT })
      // Earlier steps may have left other types than the declared ones; both sides must have the same.
      return marked.merge(
        rest.map((row) => ({ ...row }), { name: naming('unmarked'), value: EVENT }),
        { name: naming('merged') },
      )
    },
    expect: (rows) => rows.map((row) => (row.value.amount > limit ? withValue(row, { shop: `${row.value.shop}+` }) : row)),
  }
}

const repeat: StepMaker = (_random, naming) => {
  const name = naming('repeated')
  const times = (amount: number): number => amount % 4
  return {
    label: 'flatMap: each row amount % 4 times',
    build: (flow) => flow.flatMap((row) => Array.from({ length: times(row.amount) }, () => ({ ...row })), { name, value: EVENT }),
    expect: (rows) => rows.flatMap((row) => Array.from({ length: times(row.value.amount) }, () => row)),
  }
}

const dedupe: StepMaker = (_random, naming) => {
  const name = naming('once')
  return {
    label: 'dedupe by id',
    build: (flow) => flow.dedupe({ by: 'id', withinMs: EVER_MS, name }),
    expect: (rows) => {
      const first = new Map<number, OracleRow>()
      for (const row of rows) {
        const known = first.get(row.value.id)
        if (known === undefined || row.tick < known.tick) first.set(row.value.id, row)
      }
      return [...first.values()]
    },
  }
}

const joinFile: StepMaker = (random, naming) => {
  const name = naming('factor')
  const type = random.pick(['inner', 'left'] as const)
  return {
    label: `${type} join with a file`,
    build: (flow, mill) => {
      const joined = flow.join(mill.table(factors), { on: 'shop', type, select: { factor: 'factor' }, name })
      return joined.select(
        { id: 'id', key: 'key', shop: 'shop', amount: 'amount', at: 'at', extra: 'factor' },
        { name: naming('with-factor') },
      ) as unknown as Flow
    },
    expect: (rows) =>
      rows
        .filter((row) => type === 'left' || FACTORS.has(row.value.shop))
        .map((row) => withValue(row, { extra: FACTORS.get(row.value.shop) ?? null })),
  }
}

const joinTopic: StepMaker = (random, naming) => {
  const name = naming('price')
  const type = random.pick(['inner', 'left'] as const)
  return {
    label: `${type} join with a topic's table`,
    build: (flow, mill) => {
      const joined = flow.join(mill.table(PRICES), { on: 'key', type, select: { factor: 'factor' }, name })
      return joined.select(
        { id: 'id', key: 'key', shop: 'shop', amount: 'amount', at: 'at', extra: 'factor' },
        { name: naming('with-price') },
      ) as unknown as Flow
    },
    expect: (rows, context) => {
      const table = context.tableRows(PRICES.name)
      const priced = rows.map((row) => {
        const newest = table.findLast((entry) => entry.key === row.value.key && entry.tick <= row.tick)
        return withValue(row, { extra: newest?.factor ?? null })
      })
      return type === 'left' ? priced : priced.filter((row) => row.value.extra !== null)
    },
  }
}

/** Through a public topic: what went in must be what stands there; what comes out is what stands there, bound anew. */
const through: StepMaker = (random, naming) => {
  const name = naming('through')
  const middle = topic(naming('middle'), { value: EVENT, key: 'key', eventTime: 'at', disorderMs: 60_000, partitions: 1 + random.below(2) })
  return {
    label: `through ${middle.name}`,
    build: (flow) => flow.through(middle, { name }) as unknown as Flow,
    expect: (rows, context) => {
      const texts = context.seen.topic(middle.name).map((record) => canonical(JSON.parse(record.text ?? 'null') as Event))
      sameTexts(
        `topic ${middle.name}`,
        texts,
        rows.map((row) => canonical(row.value)),
      )
      const bound = context.rowsOf(middle.name)
      if (bound.length > rows.length) violated(`${middle.name} gave ${bound.length} rows of ${rows.length}`)
      return bound
    },
  }
}

export function canonical(value: Event): string {
  return JSON.stringify([value.id, value.key, value.shop, value.amount, value.at, value.extra ?? null])
}

export const STEPS: Readonly<Record<string, StepMaker>> = {
  filterExpression,
  filterLambda,
  mapLambda,
  throwing,
  project,
  branchAndMerge,
  repeat,
  dedupe,
  joinFile,
  joinTopic,
  through,
}
