// What user code may throw: whatever it is made of, it makes a letter, and the task goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../../index.ts'
import { testPipeline } from '../../testing/pipeline-driver.ts'

const thrower = (): never => {
  throw new Error('inside')
}
const errorWith = (name: string, value: unknown): Error => Object.defineProperty(new Error('given'), name, { value })
const errorGetting = (name: string): Error => Object.defineProperty(new Error('given'), name, { get: thrower })
const traps: ProxyHandler<object> = {
  get: thrower,
  getPrototypeOf: thrower,
  has: thrower,
  ownKeys: thrower,
  getOwnPropertyDescriptor: thrower,
}

const THROWN: Record<string, unknown> = {
  null: null,
  nothing: undefined,
  'a symbol': Symbol('s'),
  'an object without a prototype': Object.create(null),
  'a proxy that answers nothing': new Proxy({}, traps),
  'a proxy of an error': new Proxy(new Error('given'), traps),
  'an error behind a proxy that gives symbols': new Proxy(new Error('given'), { get: () => Symbol('s') }),
  'an error whose stack is a number': errorWith('stack', 5),
  'an error whose stack is a list': errorWith('stack', ['a', 'b']),
  'an error whose stack throws': errorGetting('stack'),
  'an error whose message is no text': errorWith('message', Object.create(null)),
  'an error whose message throws': errorGetting('message'),
  'an error whose name is a symbol': errorWith('name', Symbol('n')),
  'an error whose name throws': errorGetting('name'),
  'an error whose cause throws': errorGetting('cause'),
  'an error that passes for one of ours': Object.assign(new Error('given'), { code: 'MR_LOG_FENCED', kind: 'fenced' }),
}

const shape = t.object({ id: t.i64() })
const given = topic('given', { value: shape })
const passed = topic('passed', { value: shape })

for (const [name, thrown] of Object.entries(THROWN))
  for (const origin of ['function', 'schema'] as const)
    test(`a ${origin} that throws ${name}`, async () => {
      const check = (id: number): boolean => {
        if (id === 1) throw thrown
        return true
      }
      const foreign = topic('given', {
        value: {
          '~standard': {
            version: 1,
            vendor: 'test',
            validate: (value: unknown) => ({ value: check((value as { id: number }).id) ? (value as { id: number }) : { id: 0 } }),
          },
        },
      })
      const definition =
        origin === 'function'
          ? pipeline('p', (mill) =>
              mill
                .from(given)
                .filter((row) => check(row.id), { name: 'checked' })
                .to(passed),
            )
          : pipeline('p', (mill) =>
              mill
                .from(foreign)
                .map((row) => row as { readonly id: number }, { name: 'made', value: shape })
                .to(passed),
            )
      const run = await testPipeline(definition)
      await run.feed(given, [{ id: 0 }, { id: 1 }, { id: 2 }])
      await run.advance(60_000)
      const [letter, ...others] = await run.deadLetters()
      assert.deepEqual([letter?.offset, others.length, typeof letter?.message], [1, 0, 'string'])
      assert.deepEqual(
        run.events.filter(({ kind }) => kind !== 'dead-letters'),
        [],
      )
      assert.equal((await run.records(passed)).length, 2)
      await run.stop()
    })
