import { test } from 'node:test'
import assert from 'node:assert/strict'
import { t, type Infer } from './schema.ts'
import type { InferInput, InferOutput } from './standard-schema.ts'

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false
const yes = <_T extends true>(): void => {}

const order = t.object({
  id: t.i64(),
  at: t.time(),
  amount: t.decimal(12, 2),
  note: t.optional(t.string()),
  tags: t.list(t.string()),
  big: t.bigint(),
  place: t.object({ x: t.f64(), y: t.optional(t.number()) }),
  any: t.json(),
})

test('types infer without type arguments', () => {
  yes<
    Equal<
      Infer<typeof order>,
      {
        id: number
        at: number
        amount: string
        note: string | null
        tags: string[]
        big: bigint
        place: { x: number; y: number | null }
        any: unknown
      }
    >
  >()
  yes<Equal<InferOutput<typeof order>['note'], string | null>>()
  yes<Equal<InferInput<typeof order>['at'], number | string>>()
  const sent: InferInput<typeof order> = { id: 1, at: '2001-01-01', amount: 12.5, tags: [], big: 1n, place: { x: 1 }, any: null }
  assert.equal(order.fields.length, 8)
  const result = order['~standard'].validate(sent)
  assert.deepEqual(result, {
    value: { id: 1, at: 978307200000, amount: '12.50', note: null, tags: [], big: 1n, place: { x: 1, y: null }, any: null },
  })
})
