// The simulation of the real runtime holds for a few seeds, repeats itself byte by byte, and notices deliberate errors.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARIES } from './plant/canaries.ts'
import { runSeed } from './plant/simulate.ts'

test('crash anywhere + restore == no crash: 12 seeds', async () => {
  for (let seed = 0; seed < 12; seed++) {
    const { violation } = await runSeed(seed)
    assert.equal(violation, null, `npm run sim -- --seed ${seed}`)
  }
})

test('the same seed twice gives the same bytes', async () => {
  for (const seed of [3, 4]) {
    const { digest } = await runSeed(seed)
    assert.notEqual(digest, '')
    assert.equal((await runSeed(seed)).digest, digest, `seed ${seed}`)
  }
})

for (const [name, mutant] of Object.entries(CANARIES)) {
  test(`canary: ${name}`, async () => {
    let seed = 0
    while (seed < 60 && (await runSeed(seed, { mutant })).violation === null) seed++
    assert.ok(seed < 60, 'not noticed in 60 seeds')
  })
}
