/**
 * The crash campaign: the real process, killed under load; and crash images of a real file system.
 *
 * `npm run crash [-- --rounds N] [--only kill|image] [--quick] [--json] [--fresh]`
 *   --rounds N  kills in one campaign (default 100), going on where the last one stopped
 *   --workers N threads that run the tasks (default: 0 and 2 by turns, folder by folder)
 *   --quick     the form of the tests: 4 kills; keeps no cursor
 *   --fresh     forget the cursor
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { seededRandom } from '@millrace/core/engine'
import { imageRound, whyNoImages } from './crash/image.ts'
import { killRounds } from './crash/kill.ts'

const STATE = new URL('state/', import.meta.url)
const CURSOR = new URL('state/crash.json', import.meta.url)
const ROUNDS = 100
const QUICK_ROUNDS = 4
/** Kills on one data folder before it is checked. */
const ROUNDS_PER_FOLDER = 10
const QUICK_ROUNDS_PER_FOLDER = 2
const IMAGES = 5

interface Cursor {
  readonly rounds: number
  readonly events: number
  readonly images: number
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    workers: { type: 'string' },
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
})

const roundsPerFolder = values.quick ? QUICK_ROUNDS_PER_FOLDER : ROUNDS_PER_FOLDER
const say = (text: string): void => void process.stderr.write(`${text}\n`)
const NOTHING: Cursor = { rounds: 0, events: 0, images: 0 }

function readCursor(): Cursor {
  if (values.fresh || values.quick) return NOTHING
  try {
    return { ...NOTHING, ...(JSON.parse(readFileSync(CURSOR, 'utf8')) as Partial<Cursor>) }
  } catch {
    return NOTHING // No campaign has run here yet.
  }
}

function save(cursor: Cursor): void {
  if (values.quick) return
  mkdirSync(STATE, { recursive: true })
  writeFileSync(CURSOR, JSON.stringify(cursor))
}

function print(name: string, value: number, must: number, checked: boolean, skipped: string | null): void {
  if (values.json)
    process.stdout.write(
      `${JSON.stringify({ name, value, unit: 'rounds', must, aim: must, checked, baseline: null, ...(skipped === null ? {} : { skipped }) })}\n`,
    )
  else
    process.stdout.write(
      `${skipped !== null ? 'skipped' : checked ? 'ok' : 'FAILED'} ${name}: ${value} of ${must}${skipped === null ? '' : ` (${skipped})`}\n`,
    )
  if (!checked) process.exitCode = 1
}

/** By turns the main thread and two workers run the tasks, so that the thread boundary is crossed as well. */
function workersOf(done: number): number {
  return values.workers === undefined ? (Math.floor(done / roundsPerFolder) % 2) * 2 : Number(values.workers)
}

/** False at the first folder that is not what it must be. */
async function kill(start: Cursor): Promise<Cursor> {
  const goal = values.quick ? QUICK_ROUNDS : Number(values.rounds ?? ROUNDS)
  let cursor = start.rounds >= goal ? { ...start, rounds: 0, events: 0 } : start
  while (cursor.rounds < goal) {
    const rounds = Math.min(goal - cursor.rounds, roundsPerFolder)
    const done = cursor.rounds
    const { problems, events } = await killRounds(rounds, workersOf(done), seededRandom(done + 1), (round) =>
      say(`kill ${done + round + 1} of ${goal}`),
    )
    for (const problem of problems) say(problem)
    if (problems.length > 0) {
      print('kill', done, goal, false, null)
      return cursor
    }
    cursor = { ...cursor, rounds: done + rounds, events: cursor.events + events }
    save(cursor)
    say(`${cursor.rounds} kills, ${cursor.events} events, each exactly once`)
  }
  print('kill', cursor.rounds, goal, true, null)
  return cursor
}

async function images(start: Cursor): Promise<void> {
  const reason = whyNoImages()
  if (reason !== null) return print('image', 0, IMAGES, true, reason)
  let cursor = start
  for (let image = 0; image < IMAGES; image++) {
    const { problems, events } = await imageRound(seededRandom(cursor.images + 1))
    for (const problem of problems) say(problem)
    if (problems.length > 0) return print('image', image, IMAGES, false, null)
    cursor = { ...cursor, images: cursor.images + 1 }
    save(cursor)
    say(`image ${image + 1} of ${IMAGES}: ${events} events, each exactly once`)
  }
  print('image', IMAGES, IMAGES, true, null)
}

let cursor = readCursor()
if (values.only === undefined || values.only === 'kill') cursor = await kill(cursor)
if (values.only === 'image' || (values.only === undefined && !values.quick)) await images(cursor)
