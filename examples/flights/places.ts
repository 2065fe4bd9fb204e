// Where the example finds its input and puts its output.
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'

const require = createRequire(import.meta.url)

function dataFile(name: string): string {
  return join(dirname(require.resolve('vega-datasets/package.json')), 'data', name)
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
