// The version of this package, as its package.json says.
import { readFileSync } from 'node:fs'

interface Manifest {
  readonly version: string
}

/** Version of millrace. */
export const VERSION: string = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest).version
