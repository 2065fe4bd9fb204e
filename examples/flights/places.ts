// Where the example finds its input and puts its output.
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The package exports no path into its data, so its folder is looked up as Node does: upwards from here. */
function dataFile(name: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', 'vega-datasets', 'data', name)
    if (existsSync(path)) return path
    if (folder === dirname(folder))
      throw new Error(`vega-datasets is not installed: ${name} was not found. fix: run \`npm install\` in the clone.`)
  }
}

export function flightsPath(): string {
  return dataFile('flights-3m.parquet')
}

export function airportsPath(): string {
  return dataFile('airports.csv')
}

/** Everything that the example writes lies under here. */
export function dataFolder(): string {
  return resolve(process.env['MILLRACE_DATA'] ?? '.millrace/flights')
}

export function archiveFolder(): string {
  return join(dataFolder(), 'archive')
}
