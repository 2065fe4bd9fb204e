// Values of a table as HTTP and the command line give and take them: money to the last digit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '@millrace/core'
import { errorOf, eventually, PlantUnderTest } from '../plant.fixture.ts'

interface Page {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  readonly rowCount: number
}

const payments = topic('payments', { value: t.object({ id: t.i32(), amount: t.decimal(18, 2) }) })

test('18 digits of a decimal come out of a table as they went in, in every order and range', async () => {
  const definition = pipeline('shop', (mill) => {
    mill.from(payments).keyBy('id').toTable('paid')
    mill.from(payments).toTable('by_amount', { key: 'amount' })
  })
  const plant = await PlantUnderTest.start({ pipelines: [definition] })
  const amounts = ['9007199254740993.01', '-9007199254740993.01', '9007199254740993.02', '9.5', '-10', '10.00']
  await plant.post('/topics/payments', JSON.stringify(amounts.map((amount, id) => ({ id, amount }))))
  const page = async (address: string): Promise<Page> => (await plant.get(`/tables/${address}`)).value as Page
  await eventually(
    () => page('by_amount'),
    ({ rowCount }) => rowCount === amounts.length,
  )
  await eventually(
    () => page('paid'),
    ({ rowCount }) => rowCount === amounts.length,
  )
  const shown = async (address: string): Promise<readonly unknown[]> => (await page(address)).rows.map(({ amount }) => amount)
  const sorted = ['-9007199254740993.01', '-10.00', '9.50', '10.00', '9007199254740993.01', '9007199254740993.02']
  assert.deepEqual((await page('paid?key=0')).rows, [{ id: 0, amount: '9007199254740993.01' }])
  assert.deepEqual(await shown('paid?by=amount'), sorted)
  assert.deepEqual(await shown('paid?by=amount&descending=true&limit=1'), sorted.slice(-1))
  assert.deepEqual(await shown('by_amount'), sorted)
  assert.deepEqual(await shown('by_amount?from=9.5&to=9007199254740993.02'), sorted.slice(2, 5))
  assert.deepEqual(await shown('by_amount?prefix=9007199254740993.01'), sorted.slice(4, 5))
  assert.equal(errorOf(await plant.get('/tables/by_amount?key=1.005')).code, 'MR_TABLE_KEY_INVALID')
  const tables = (await plant.get('/tables')).value as readonly { readonly name: string; readonly numbers: readonly string[] }[]
  assert.deepEqual(tables.find(({ name }) => name === 'paid')?.numbers, ['id', 'amount'])
  await plant.stop()
})

const readings = topic('readings', { value: t.object({ device: t.string(), room: t.optional(t.string()), floor: t.optional(t.i32()) }) })

test('null of a key field is asked for as null, and the text null with its quotes', async () => {
  const definition = pipeline('house', (mill) => {
    mill.from(readings).toTable('rooms', { key: ['device', 'room', 'floor'] })
  })
  const plant = await PlantUnderTest.start({ pipelines: [definition] })
  const rows = [
    { device: 'd1', room: null, floor: null },
    { device: 'd1', room: null, floor: 2 },
    { device: 'd1', room: '"null"', floor: null },
    { device: 'd1', room: 'null', floor: null },
    { device: 'null', room: 'hall', floor: 1 },
  ]
  await plant.post('/topics/readings', JSON.stringify(rows))
  const found = async (query: string): Promise<readonly unknown[]> =>
    ((await plant.get(`/tables/rooms?${query}`)).value as Page).rows ?? 'refused'
  await eventually(
    () => found(''),
    ({ length }) => length === rows.length,
  )
  assert.deepEqual(await found('prefix=d1,null'), rows.slice(0, 2))
  assert.deepEqual(await found('prefix=d1&prefix=null'), rows.slice(0, 2))
  assert.deepEqual(await found('prefix=d1,%22null%22'), [rows[3]])
  assert.deepEqual(await found('prefix=d1,%22%22null%22%22'), [rows[2]])
  assert.deepEqual(await found('key=d1,null,2'), [rows[1]])
  assert.deepEqual(await found('key=d1,null,null'), [rows[0]])
  assert.deepEqual(await found('key=d1,%22null%22,null'), [rows[3]])
  assert.deepEqual(await found('prefix=d1,null&from=0'), [rows[1]])
  assert.deepEqual(await found('prefix=d1,null&to=0'), [rows[0]])
  assert.deepEqual(await found('prefix=null'), [rows[4]])
  assert.equal(errorOf(await plant.get('/tables/rooms?key=d1,null,x')).code, 'MR_TABLE_KEY_INVALID')
  await plant.stop()
})
