// `millrace start FILE`: runs pipelines until it is told to stop.
import type { Command } from './context.ts'
import { sayRunning, servePlant } from './serve.ts'

export const start: Command = {
  name: 'start',
  usage: 'FILE',
  summary: 'Runs the pipelines of a file, with collector, page and tables.',
  options: [{ name: 'rebuild', summary: 'Build state again whose layout has changed, from the input that the log still has.' }],
  examples: [
    { line: 'millrace start pipeline.ts', does: 'on the default port, data in ./millrace-data' },
    { line: 'millrace start pipeline.ts --port 8080 --data /var/lib/plant --json', does: 'as a service, log lines as JSON' },
  ],
  words: [1, 1],
  async run(context, invocation) {
    let fail: (error: unknown) => void = () => undefined
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    // A stop while pipelines are restored is a stop too.
    const signal = context.stopSignal()
    const plant = await servePlant(context, invocation, invocation.words[0] as string, fail)
    sayRunning(context, invocation, plant)
    // A log that failed cannot commit: there is nothing to drain, and the next start recovers to the last commit.
    const name = await Promise.race([signal, failed])
    context.note(`millrace: ${name}: stopping (again to stop at once)\n`)
    await plant.stop()
    return 0
  },
}
