// kill -9 at random moments under load, also while the plant starts and recovers; then everything must be there exactly once.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Random } from '@millrace/core/connect'
import { PlantProcess } from './child.ts'
import { Load, wait } from './load.ts'
import { verify } from './verify.ts'
import type { Verdict } from './verify.ts'

const STARTING_MS_MAX = 700
const RUNNING_MS_MAX = 1_500

/** Runs that many kills on one data folder, then checks it. `workers`: threads that run the plant's tasks, 0 is the main thread. `onRound` is told after each kill. */
export async function killRounds(rounds: number, workers: number, random: Random, onRound: (round: number) => void): Promise<Verdict> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-crash-'))
  const load = new Load(random.fork())
  load.start()
  let plant = new PlantProcess(folder, workers)
  try {
    for (let round = 0; round < rounds; round++) {
      // One in four dies while it starts or recovers.
      if (random.chance(0.25)) await wait(random.below(STARTING_MS_MAX))
      else {
        load.url = await plant.ready
        await wait(random.below(RUNNING_MS_MAX))
      }
      if (plant.isOver) throw new Error(`the plant ended by itself: ${plant.errors}`)
      await plant.kill()
      load.url = null
      onRound(round)
      plant = new PlantProcess(folder, workers)
    }
    const url = await plant.ready
    load.url = url
    await wait(200)
    await load.finish()
    if (load.refusals.length > 0) throw new Error(`refused: ${load.refusals[0] ?? ''}`)
    const last = plant
    const verdict = await verify(url, folder, load.book, () => last.stop())
    if (verdict.problems.length === 0) rmSync(folder, { recursive: true, force: true })
    else process.stderr.write(`the data folder is kept: ${folder}\n`)
    return verdict
  } finally {
    if (!plant.isOver) await plant.kill()
  }
}
