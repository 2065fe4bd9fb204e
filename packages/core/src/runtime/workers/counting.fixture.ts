// A pipeline as a user's module has it, for worker threads to import. The folder of its sink comes with the module's URL.
import { ndjsonFile } from '../../connect/index.ts'
import { count, pipeline, sum, t, topic } from '../../index.ts'

const folder = new URL(import.meta.url).searchParams.get('folder') ?? 'nowhere'

export const orders = topic('orders', { value: t.object({ id: t.i64(), key: t.i64(), amount: t.i64() }), partitions: 2 })

/** Orders of at least this amount are passed on. */
export const BIG = 50

/** Counts by key behind an exchange; passes big orders on to a topic and into files. */
const counting = pipeline('counting', (mill) => {
  const all = mill.from(orders)
  all
    .groupBy('key')
    .aggregate({ orders: count(), amount: sum('amount') }, { name: 'per-key' })
    .toTable('totals')
  const big = all.filter((order) => order.amount >= BIG, { name: 'big-ones' })
  big.to(topic('big', { value: t.object({ id: t.i64(), key: t.i64(), amount: t.i64() }), partitions: 2 }), { name: 'to-topic' })
  big.to(ndjsonFile({ path: `${folder}/big.ndjson` }), { name: 'to-file' })
})

export const other = pipeline('counting', (mill) => {
  mill.from(orders).groupBy('key').aggregate({ orders: count() }, { name: 'per-key' }).toTable('totals')
})

export default counting

export const list = [pipeline('unused', (mill) => mill.from(orders).to(topic('unused', { value: t.object({ id: t.i64() }) }))), counting]

export const broken = 'no pipeline'
