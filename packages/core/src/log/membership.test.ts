import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Membership } from './log.ts'
import { MembershipBoard } from './membership.ts'

test('one member gets all groups, a second takes half of them after the first has let go', async () => {
  const board = new MembershipBoard()
  const told: string[] = []
  const member = (name: string) => ({
    domain: 'd',
    groups: 4,
    onAssigned: async (groups: readonly number[]) => {
      told.push(`${name} starts ${groups.join('')}`)
      await Promise.resolve()
      told.push(`${name} has ${groups.join('')}`)
    },
  })
  await board.join(member('a'))
  const b = await board.join(member('b'))
  await b.leave()
  assert.deepEqual(told, [
    'a starts 0123',
    'a has 0123',
    'a starts 01',
    'a has 01',
    'b starts 23',
    'b has 23',
    'a starts 0123',
    'a has 0123',
  ])
})

test('domains do not touch each other; an empty domain may come back with another number of groups', async () => {
  const board = new MembershipBoard()
  const got: number[][] = []
  const onAssigned = async (groups: readonly number[]) => void got.push([...groups])
  const a = await board.join({ domain: 'a', groups: 2, onAssigned })
  await board.join({ domain: 'b', groups: 1, onAssigned })
  assert.deepEqual(got, [[0, 1], [0]])
  await assert.rejects(board.join({ domain: 'a', groups: 3, onAssigned }), { name: 'AssertionFailure' })
  await a.leave()
  await board.join({ domain: 'a', groups: 3, onAssigned })
  assert.deepEqual(got[2], [0, 1, 2])
})

test('a member whose callback fails is out, and the others get its groups', async () => {
  const board = new MembershipBoard()
  let has: readonly number[] = []
  await board.join({ domain: 'd', groups: 4, onAssigned: async (groups) => void (has = groups) })
  const failing = board.join({
    domain: 'd',
    groups: 4,
    onAssigned: async () => {
      throw new Error('no')
    },
  })
  await assert.rejects(failing, /no/)
  assert.deepEqual(has, [0, 1, 2, 3])
})

test('whatever order members come and go in: no group has two owners, all are owned, shares differ by one at most', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 17 }),
      fc.array(fc.tuple(fc.boolean(), fc.nat(), fc.boolean()), { minLength: 1, maxLength: 15 }),
      async (groups, steps) => {
        const board = new MembershipBoard()
        const owner = new Map<number, object>()
        const members: { readonly joined: Promise<Membership>; owned: readonly number[]; left: boolean }[] = []
        const pending: Promise<unknown>[] = []
        for (const [join, pick, wait] of steps) {
          if (join || members.length === 0) {
            const member = {
              owned: [] as readonly number[],
              left: false,
              joined: board.join({
                domain: 'd',
                groups,
                onAssigned: async (next) => {
                  await Promise.resolve()
                  if (member.left) return
                  for (const group of member.owned) if (!next.includes(group)) owner.delete(group)
                  for (const group of next) {
                    assert.ok(owner.get(group) === undefined || owner.get(group) === member, 'a group has two owners')
                    owner.set(group, member)
                  }
                  member.owned = next
                },
              }),
            }
            members.push(member)
            pending.push(member.joined)
          } else {
            const [member] = members.splice(pick % members.length, 1)
            if (member === undefined) continue
            await member.joined
            member.left = true
            for (const group of member.owned) owner.delete(group)
            const leaving = (await member.joined).leave()
            pending.push(leaving)
          }
          if (wait) await Promise.all(pending)
        }
        await Promise.all(pending)
        if (members.length === 0) return
        const sizes = members.map((member) => member.owned.length)
        assert.equal(owner.size, groups)
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join())
      },
    ),
    { numRuns: 200 },
  )
})
