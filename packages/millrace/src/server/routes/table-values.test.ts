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
