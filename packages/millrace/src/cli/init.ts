// `millrace init`: a small project that runs at once.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { MillraceError, nodeDisk } from '@millrace/core/engine'
import { VERSION } from '../version.ts'
import type { Command } from './context.ts'

/** Files of the project and their names in the package: npm leaves a `.gitignore` out of packages. */
const FILES: Readonly<Record<string, string>> = {
  'pipeline.ts': 'pipeline.ts',
  'pipeline.test.ts': 'pipeline.test.ts',
  'events.ndjson': 'events.ndjson',
  'README.md': 'README.md',
  '.gitignore': 'gitignore',
}

function templateText(name: string): string {
  return readFileSync(new URL(`../../template/${name}`, import.meta.url), 'utf8')
}

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
    const name =
      basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9._-]+/g, '-')
        .replace(/^[._-]+/, '') || 'plant'
    const manifest = {
      name,
      private: true,
      type: 'module',
      scripts: { start: 'millrace start pipeline.ts', dev: 'millrace dev pipeline.ts', test: 'node --test' },
      dependencies: { millrace: VERSION },
    }
    const files: Readonly<Record<string, string>> = {
      ...Object.fromEntries(Object.entries(FILES).map(([file, template]) => [file, templateText(template)])),
      'package.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
    }
    if (existsSync(folder) && !statSync(folder).isDirectory()) {
      throw new MillraceError('MR_CLI_FOLDER_TAKEN', {
        message: 'there is a file of this name; nothing was written.',
        details: { folder },
        fix: 'Name another folder: `millrace init FOLDER`.',
      })
    }
    const taken = Object.keys(files).filter((file) => existsSync(join(folder, file)))
    if (taken.length > 0) {
      throw new MillraceError('MR_CLI_FOLDER_TAKEN', {
        message: `the folder has ${taken.join(', ')} already; nothing was written.`,
        details: { folder },
        fix: 'Name another folder: `millrace init FOLDER`.',
      })
    }
    nodeDisk.makeFolder(folder)
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
    const where = words[0] === undefined ? '' : `cd ${words[0]} && `
    context.out(
      json
        ? `${JSON.stringify({ folder, files: Object.keys(files) })}\n`
        : `made ${Object.keys(files).join(', ')} in ${folder}\n  next: ${where}npm install && npx millrace dev pipeline.ts\n`,
    )
    return 0
  },
}
