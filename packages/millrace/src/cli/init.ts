// `millrace init`: a small project that runs at once.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { MillraceError } from '@millrace/core/engine'
import { VERSION } from '../version.ts'
import type { Command } from './context.ts'

const PIPELINE = `import { count, pipeline, t, topic, tumbling } from 'millrace'

/** Events as they arrive: POST http://localhost:4410/topics/hits */
const hits = topic('hits', {
  value: t.object({ at: t.time(), url: t.string(), ip: t.string() }),
  eventTime: 'at',
  disorderMs: 5_000,
})

export default pipeline('web', (mill) => {
  mill
    .from(hits)
    .groupBy('url')
    .window(tumbling({ sizeMs: 60_000 }))
    .aggregate({ hits: count() }, { name: 'per-minute' })
    .toTable('per_minute')
})
`

const EVENTS = `{"at":"2026-01-01T12:00:01Z","url":"/","ip":"10.0.0.1"}
{"at":"2026-01-01T12:00:02Z","url":"/about","ip":"10.0.0.2"}
{"at":"2026-01-01T12:00:09Z","url":"/","ip":"10.0.0.3"}
{"at":"2026-01-01T12:01:04Z","url":"/","ip":"10.0.0.1"}
{"at":"2026-01-01T12:01:06Z","url":"/prices","ip":"10.0.0.4"}
{"at":"2026-01-01T12:01:30Z","url":"/","ip":"10.0.0.5"}
{"at":"2026-01-01T12:02:11Z","url":"/about","ip":"10.0.0.2"}
{"at":"2026-01-01T12:02:15Z","url":"/","ip":"10.0.0.6"}
{"at":"2026-01-01T12:02:20Z","url":"/","ip":"10.0.0.7"}
{"at":"2026-01-01T12:03:00Z","url":"/prices","ip":"10.0.0.4"}
`

const README = `# A millrace pipeline

\`\`\`sh
npm install                                     # once
npx millrace dev pipeline.ts                    # runs, and restarts when a file changes
npx millrace produce hits < events.ndjson       # in a second terminal
npx millrace table per_minute
\`\`\`

The page is at http://localhost:4410. Data is kept in \`millrace-data\`; delete that folder to start over.
\`npx millrace --help\` has the rest.
`

const IGNORED = `node_modules/
millrace-data/
`

export const init: Command = {
  name: 'init',
  usage: '[FOLDER]',
  summary: 'Makes a small project that runs at once.',
  options: [],
  examples: [
    { line: 'millrace init my-plant', does: 'in a new folder' },
    { line: 'cd my-plant && npm install && npx millrace dev pipeline.ts', does: 'and go' },
  ],
  words: [0, 1],
  async run(context, { words, json }) {
    const folder = resolve(context.cwd, words[0] ?? '.')
    const name = basename(folder).toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-').replace(/^[._-]+/, '') || 'plant'
    const manifest = { name, private: true, type: 'module', scripts: { start: 'millrace start pipeline.ts', dev: 'millrace dev pipeline.ts' }, dependencies: { millrace: VERSION } }
    const files: Readonly<Record<string, string>> = {
      'pipeline.ts': PIPELINE,
      'events.ndjson': EVENTS,
      'package.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
      'README.md': README,
      '.gitignore': IGNORED,
    }
    const taken = Object.keys(files).filter((file) => existsSync(join(folder, file)))
    if (taken.length > 0) {
      throw new MillraceError('MR_CLI_FOLDER_TAKEN', { message: `the folder has ${taken.join(', ')} already; nothing was written.`, details: { folder }, fix: 'Name another folder: `millrace init FOLDER`.' })
    }
    mkdirSync(folder, { recursive: true })
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
    const where = words[0] === undefined ? '' : `cd ${words[0]} && `
    context.out(json ? `${JSON.stringify({ folder, files: Object.keys(files) })}\n` : `made ${Object.keys(files).join(', ')} in ${folder}\n  next: ${where}npm install && npx millrace dev pipeline.ts\n`)
    return 0
  },
}
