import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as z from 'zod'
import { foreignFields } from './foreign-schema.ts'
import { layoutText } from './layout-id.ts'
import { t } from './schema.ts'

test('columns follow from what a zod schema says of its output', () => {
  const schema = z.object({
    id: z.int(),
    amount: z.number(),
    note: z.string().optional(),
    flag: z.boolean().nullable(),
    tags: z.array(z.string()),
    place: z.object({ x: z.number(), y: z.number().nullable() }),
    kind: z.enum(['a', 'b']),
    mixed: z.union([z.string(), z.number()]),
    length: z
      .string()
      .transform((text) => text.length)
      .pipe(z.number()),
    fallback: z.string().default('none'),
  })
  assert.equal(
    layoutText(foreignFields(schema) ?? []),
    '("id":i64,"amount":f64,"note":string?,"flag":bool?,"tags":list<string>,"place":struct("x":f64,"y":f64?),"kind":string,"mixed":json?,"length":f64,"fallback":string)',
  )
})

test('a schema that JSON Schema cannot describe has no columns', () => {
  assert.equal(foreignFields(z.object({ at: z.date() })), null)
  assert.equal(foreignFields(z.string()), null)
  assert.equal(foreignFields(t.object({ a: t.i64() })), null)
  assert.equal(foreignFields(null), null)
  assert.equal(foreignFields({ '~standard': { version: 1, vendor: 'x', validate: () => ({ value: 1 }) } }), null)
})
