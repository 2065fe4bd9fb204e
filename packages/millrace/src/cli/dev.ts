// `millrace dev FILE`: runs a file and starts it again when it, or a module that it loads, changes. The data stays.
// This is the plant's side of it; supervise.ts is the process that the user has started.
import { checkFileTables, isMillraceError } from '@millrace/core/engine'
import type { CliContext, Command, Invocation } from './context.ts'
import { type Definitions, loadDefinitions } from './load-definitions.ts'
import { DROP_STATE, runPlant } from './serve.ts'
import type { LoadedModules } from './supervise.ts'

const LOCK_WAIT_MS = 3000

export const dev: Command = {
  name: 'dev',
  usage: 'FILE',
  summary: 'Runs a file with its page, and starts it again when it changes. The data stays.',
  options: [
    { name: 'rebuild', summary: 'Build state again that is damaged, and what has changed also where topics and sinks get rows again.' },
    { name: 'no-rebuild', summary: 'Never build state again.' },
    DROP_STATE,
  ],
  examples: [
    { line: 'npx millrace dev pipeline.ts', does: 'edit, save, look' },
    { line: 'npx millrace dev pipeline.ts --data /tmp/try --port 0', does: 'on data of its own and a free port' },
  ],
  words: [1, 1],
  async run(context, invocation) {
    const file = invocation.words[0] as string
    // Also what did load is to be watched: the mistake may be there.
    const say = (kind: 'loaded' | 'loading'): void => context.report({ kind, file, ...loadedModules(context) })
    try {
      return await runPlant(context, invocation, {
        rebuild: rebuildOf(invocation),
        lockWaitMs: LOCK_WAIT_MS,
        onLoaded: () => say('loaded'),
        onSlow: () => say('loading'),
      })
    } catch (error) {
      say('loaded')
      if (isHopeless(error)) context.report({ kind: 'hopeless' })
      throw error
    }
  },
}

/** By itself only what nobody can notice. */
function rebuildOf({ options }: Invocation): boolean | 'unnoticed' {
  if (options['no-rebuild'] === true) return false
  return options['rebuild'] === true ? true : 'unnoticed'
}

/** Errors of the machine, the port and the data folder: an edited pipeline does not change them. */
function isHopeless(error: unknown): boolean {
  return isMillraceError(error) && /^MR_(?:SERVER|LOG|SETTINGS)_/.test(error.code)
}

function loadedModules(context: CliContext): LoadedModules {
  const modules = context.modules.list()
  return { modules: modules.map(({ path }) => path), hash: modules.map(({ hash }) => hash).join(' ') }
}

/** Loads a file and says which modules it is made of; run by `dev` in a process of its own. */
export const check: Command = {
  name: 'check',
  usage: 'FILE',
  summary: 'Loads a file and makes its plans. Runs nothing, and leaves types to the compiler.',
  options: [],
  examples: [{ line: 'npx millrace check pipeline.ts', does: 'exit code 1 and the place when something is wrong' }],
  words: [1, 1],
  async run(context, invocation) {
    try {
      const definitions = await loadDefinitions(invocation.words[0] as string, context, invocation)
      for (const { plan } of definitions.pipelines) checkFileTables(plan, context.disk)
      say(context, invocation, definitions)
    } catch (error) {
      if (invocation.json) say(context, invocation, { pipelines: [], sources: [] })
      throw error
    }
    return 0
  },
}

function say(context: CliContext, { json }: Invocation, definitions: Definitions): void {
  const pipelines = definitions.pipelines.map(({ name }) => name)
  const sources = definitions.sources.map(({ name }) => name)
  if (json) context.out(`${JSON.stringify({ pipelines, sources, ...loadedModules(context) })}\n`)
  else {
    const names = [...pipelines, ...sources.map((name) => `source ${name}`)].join(', ')
    context.out(`loads: ${names}\ntypes are not looked at; the compiler does that: npm run check\n`)
  }
}
