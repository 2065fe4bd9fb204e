// What DuckDB finds in Parquet files of web hits: row count, sums that bind the columns of a row to each other, distinct users and urls.
// HitSums computes the same row by row.
import { DuckDBInstance } from '@duckdb/node-api'

/** `files`: a path or a glob. */
export async function sumsInParquet(files: string): Promise<string> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const sums = await connection.runAndReadAll(
    `SELECT count(*), sum(epoch_ms(ts)), sum(length("user") * seq::BIGINT), sum(length(url) * status::BIGINT), sum(length(ua) * bytes::BIGINT),
      sum(length(ip) * (seq::BIGINT % 1000)), sum(ascii(rid) * (seq::BIGINT % 997)), count(DISTINCT "user"), count(DISTINCT url) FROM read_parquet('${files}')`,
  )
  return (sums.getRows()[0] ?? []).join(' ')
}

/** One row, reduced to what the sums need. */
export interface SummedHit {
  readonly ts: number
  readonly userLength: number
  readonly urlLength: number
  readonly uaLength: number
  readonly ipLength: number
  readonly ridFirst: number
  readonly status: number
  readonly bytes: number
  readonly seq: number
  /** Anything that tells users, and urls, apart. */
  readonly user: number | string
  readonly url: number | string
}

export class HitSums {
  readonly #sums = Array.from({ length: 7 }, () => 0n)
  readonly #users = new Set<number | string>()
  readonly #urls = new Set<number | string>()

  add(hit: SummedHit): void {
    const { seq } = hit
    const parts = [
      1,
      hit.ts,
      hit.userLength * seq,
      hit.urlLength * hit.status,
      hit.uaLength * hit.bytes,
      hit.ipLength * (seq % 1000),
      hit.ridFirst * (seq % 997),
    ]
    for (const [index, part] of parts.entries()) this.#sums[index] = (this.#sums[index] as bigint) + BigInt(part)
    this.#users.add(hit.user)
    this.#urls.add(hit.url)
  }

  toString(): string {
    return [...this.#sums, this.#users.size, this.#urls.size].join(' ')
  }
}
