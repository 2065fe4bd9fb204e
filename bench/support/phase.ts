// The measured process: runs phases of one case and prints one JSON object per phase. Started by run.ts, never by hand.
// node --conditions=mr-source bench/support/phase.ts CASE-FILE '{"folder":...,"quick":...,"run":0,"phases":["own"]}'
import { mkdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { type BenchCase, type BenchContext, Missing } from './case.ts'

interface Order extends BenchContext {
  readonly phases: readonly ('fixture' | 'own' | 'obvious')[]
}

const [file = '', order = '{}'] = process.argv.slice(2)
const { phases, ...context } = JSON.parse(order) as Order

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

// What reading a case pulls in must not stop the others: a case that cannot be loaded is one that is missing.
const { benchCase } = (await import(pathToFileURL(file).href)) as { readonly benchCase: BenchCase }
mkdirSync(context.folder, { recursive: true })
for (const phase of phases) {
  try {
    if (phase === 'fixture') await benchCase.fixture?.make(context.folder, context.quick)
    else print({ phase, ...(await benchCase[phase](context)) })
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    print({ phase, missing: error.message })
  }
}
// Timers of a pipeline or a server that a case left behind must not keep the process alive.
process.exit(0)
