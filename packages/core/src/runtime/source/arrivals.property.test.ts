// Law: while each record has a mark, `passed` says how long the oldest record that it passes has been there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Arrivals } from './arrivals.ts'

const steps = fc.array(
  fc.record({ kind: fc.constantFrom('arrive' as const, 'arrive' as const, 'pass' as const), count: fc.nat(12), ms: fc.nat(20) }),
  { maxLength: 80 },
)

test('the age of a commit is that of the oldest record in it; what was there before has none', () => {
  fc.assert(
    fc.property(fc.nat(5), steps, (before, script) => {
      const arrivals = new Arrivals(before)
      const seenAt: (number | null)[] = Array.from({ length: before }, () => null)
      let [now, next] = [0, 0]
      for (const { kind, count, ms } of script) {
        now += ms
        if (kind === 'arrive') {
          seenAt.push(now)
          arrivals.arrived(seenAt.length, now)
          const first = seenAt.slice(next).find((at) => at !== null) ?? null
          assert.equal(arrivals.waitingMs(now + 7), first === null ? 0 : now + 7 - first)
          continue
        }
        const to = Math.min(seenAt.length, next + count)
        const oldest = seenAt.slice(next, to).find((at) => at !== null)
        assert.equal(arrivals.passed(to, now), oldest === undefined || oldest === null ? null : now - oldest)
        next = to
      }
    }),
  )
})

test('a long backlog is told less exactly', () => {
  const arrivals = new Arrivals(0)
  for (let ms = 1; ms <= 100_000; ms++) arrivals.arrived(ms, ms)
  for (let next = 10_000; next <= 100_000; next += 10_000) {
    const age = arrivals.passed(next, 100_000) ?? -1
    // What is read now came within the 10 s behind what was read before.
    assert.ok(age >= 100_000 - next && age <= 110_000 - next, `${next}: ${age}`)
  }
  assert.equal(arrivals.passed(100_000, 100_001), null)
})
