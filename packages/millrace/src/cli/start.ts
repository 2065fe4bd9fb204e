// `millrace start FILE`: runs pipelines until it is told to stop.
import type { Command } from './context.ts'
import { DROP_STATE, runPlant } from './serve.ts'

export const start: Command = {
  name: 'start',
  usage: 'FILE',
  summary: 'Runs the pipelines of a file, with collector, page and tables.',
  options: [
    {
      name: 'rebuild',
      summary:
        'Build state again that has changed or is damaged, from the input that the log still has. Topics and sinks get those rows again.',
    },
    DROP_STATE,
  ],
  examples: [
    { line: 'npx millrace start pipeline.ts', does: 'on the default port, data in ./millrace-data' },
    { line: 'npx millrace start pipeline.ts --port 8080 --data /var/lib/plant --json', does: 'as a service, log lines as JSON' },
  ],
  words: [1, 1],
  run: (context, invocation) => runPlant(context, invocation, { rebuild: invocation.options['rebuild'] === true }),
}
