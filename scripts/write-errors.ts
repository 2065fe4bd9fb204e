// Writes docs/errors.md from the table in packages/core/src/base/errors.ts. A house test fails while the two differ.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ErrorEntry, type ErrorKind, ERRORS } from '../packages/core/src/base/errors.ts'
import { root } from './programs.ts'

const KINDS: Readonly<Record<ErrorKind, string>> = {
  invalid: 'Mend the call, the configuration or the input; trying again will not help.',
  transient: 'Try again with a pause in between; millrace does so itself where it can.',
  fenced: 'Stop: a newer owner of the same name exists.',
  data: 'This record is bad, others are not; it goes to the dead letters.',
  closed: 'The thing was closed before the call.',
  internal: 'A bug in millrace or a broken disk; the process stops and recovers at the next start.',
}

const INTRODUCTION = `# Errors

Every error that millrace reports has a code, a kind and a fix. The kind says what a program should do, the fix what a person should do.
Codes are never reused, so they are safe to match on; messages are not. This page is generated from the table in
\`packages/core/src/base/errors.ts\` by \`npm run errors\`.
`

/** The text of docs/errors.md. */
export function errorsDocument(): string {
  const kinds = Object.entries(KINDS).map(([kind, meaning]) => `- **${kind}**: ${meaning}`)
  const codes = Object.entries<ErrorEntry>(ERRORS).toSorted(([left], [right]) => (left < right ? -1 : 1))
  const sections = codes.map(([code, entry]) => `## ${code}\n\nKind: ${entry.kind}. ${entry.summary}\n\n${entry.fix}\n`)
  return [`${INTRODUCTION}\n${kinds.join('\n')}\n`, ...sections].join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(path.join(root, 'docs/errors.md'), errorsDocument())
