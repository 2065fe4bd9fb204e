// The real input: 3,000,000 US departures of the first half of 2001, read column by column from Parquet.
import { asyncBufferFromFile, parquetRead } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { flightsPath } from './places.ts'

export interface Flights {
  readonly count: number
  /** Milliseconds; the file's local times read as UTC. Ascending. */
  readonly dates: Float64Array
  readonly delays: Int32Array
  readonly distances: Int32Array
  readonly origins: readonly string[]
  readonly destinations: readonly string[]
}

const ROWS = 3_000_000

/** The first `limit` departures. */
export async function readFlights(limit: number = ROWS): Promise<Flights> {
  const count = Math.min(limit, ROWS)
  const file = await asyncBufferFromFile(flightsPath())
  const dates = new Float64Array(count)
  const delays = new Int32Array(count)
  const distances = new Int32Array(count)
  const origins: string[] = Array.from({ length: count }, () => '')
  const destinations: string[] = Array.from({ length: count }, () => '')
  const put: Readonly<Record<string, (row: number, value: unknown) => void>> = {
    date: (row, value) => void (dates[row] = Number(value)),
    delay: (row, value) => void (delays[row] = Number(value)),
    distance: (row, value) => void (distances[row] = Number(value)),
    origin: (row, value) => void (origins[row] = String(value)),
    destination: (row, value) => void (destinations[row] = String(value)),
  }
  await parquetRead({
    file,
    compressors,
    rowStart: 0,
    rowEnd: count,
    onChunk: ({ columnName, columnData, rowStart }) => {
      const set = put[columnName]
      if (set === undefined) return
      for (let index = 0; index < columnData.length; index++) {
        const row = rowStart + index
        if (row >= 0 && row < count) set(row, columnData[index])
      }
    },
  })
  return { count, dates, delays, distances, origins, destinations }
}
