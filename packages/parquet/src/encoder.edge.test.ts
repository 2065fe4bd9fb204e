// Eighty files at the edges: sizes around pages and groups, shares of nulls, with strings that are empty, long, constant, multi-byte,
// numbers that are constant, negative, huge, not numbers; read back by two independent readers, statistics checked against the values.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Field, seededRandom } from '@millrace/core/connect'
import { batchOf, canonicalRows, DuckdbReader, encode, type Plain, type PlainRow, readByHyparquet } from './round-trip.fixture.ts'

const SIZES = [1, 2, 7, 8, 9, 31, 33, 127, 128, 129, 130, 255, 1000, 1023, 1025, 4096, 4097, 8191, 10_000, 20_000]
const NULL_SHARES = [0, 0.1, 0.9, 1]

const KINDS: readonly {
  readonly name: string
  readonly type: Field['type']
  readonly make: (i: number, below: (n: number) => number) => Plain
}[] = [
  { name: 'flag', type: { kind: 'bool' }, make: (_, below) => below(2) === 0 },
  { name: 'small', type: { kind: 'i32' }, make: (_, below) => below(7) - 3 },
  { name: 'any_int', type: { kind: 'i32' }, make: (_, below) => below(2 ** 32) - 2 ** 31 },
  { name: 'constant', type: { kind: 'i32' }, make: () => -42 },
  { name: 'counter', type: { kind: 'i64' }, make: (i) => BigInt(i) * 3n - 1000n },
  { name: 'wide', type: { kind: 'i64' }, make: (i, below) => BigInt(below(2 ** 31)) * BigInt(below(2 ** 20)) * (i % 2 === 0 ? 1n : -1n) },
  {
    name: 'huge',
    type: { kind: 'i64' },
    make: (i, below) => BigInt.asIntN(64, (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32)) | BigInt(i & 1)),
  },
  { name: 'at', type: { kind: 'time' }, make: (i, below) => 1_700_000_000_000 + i * 5 - below(1000) },
  { name: 'at_odd', type: { kind: 'time' }, make: (i) => (i % 100 === 50 ? 0 : 1_700_000_000_000 + i) },
  { name: 'number', type: { kind: 'f64' }, make: (_, below) => (below(2000) - 1000) / 7 },
  { name: 'special', type: { kind: 'f64' }, make: (_, below) => [0, -0, Infinity, -Infinity, 1, -1.5][below(6)] as number },
  { name: 'nan', type: { kind: 'f64' }, make: (i, below) => (i % 3 === 0 ? Number.NaN : below(10)) },
  { name: 'money9', type: { kind: 'decimal', precision: 9, scale: 2 }, make: (_, below) => BigInt(below(1_999_999_999) - 999_999_999) },
  { name: 'money18', type: { kind: 'decimal', precision: 18, scale: 4 }, make: (_, below) => BigInt(below(2 ** 32)) * 12_345n - 7n },
  {
    name: 'money38',
    type: { kind: 'decimal', precision: 38, scale: 10 },
    make: (i, below) => BigInt(below(2 ** 31)) * (i % 2 === 0 ? 2n ** 30n : -(2n ** 29n)),
  },
  { name: 'unique', type: { kind: 'string' }, make: (i, below) => `${below(2 ** 32).toString(16)}-${i}` },
  { name: 'few', type: { kind: 'string' }, make: (_, below) => ['', 'a', 'ä', '日本語', '🦀 crab', 'aa'][below(6)] as string },
  { name: 'one', type: { kind: 'string' }, make: () => 'always the same' },
  { name: 'empty', type: { kind: 'string' }, make: () => '' },
  { name: 'long', type: { kind: 'string' }, make: (i, below) => `${'ü'.repeat(40 + below(3))}${i}${'~'.repeat(below(90))}` },
  { name: 'raw', type: { kind: 'bytes' }, make: (_, below) => Uint8Array.from({ length: below(80) }, () => 255 - below(3)) },
  { name: 'doc', type: { kind: 'json' }, make: (i) => `{"i":${i},"s":"é"}` },
]

let duckdb: DuckdbReader
before(async () => {
  duckdb = await DuckdbReader.open()
})
after(() => duckdb.close())

function makeFile(size: number, nullShare: number): { readonly fields: readonly Field[]; readonly rows: readonly PlainRow[] } {
  const random = seededRandom(size * 10 + nullShare * 7)
  const fields = KINDS.map(({ name, type }): Field => ({ name, type, nullable: nullShare > 0 }))
  const below = (limit: number): number => random.below(limit)
  const rows = Array.from({ length: size }, (_, i) =>
    Object.fromEntries(KINDS.map(({ name, make }) => [name, nullShare > 0 && random.fraction() < nullShare ? null : make(i, below)])),
  )
  return { fields, rows }
}

for (const nullShare of NULL_SHARES) {
  test(`${SIZES.length} files with ${nullShare * 100} % nulls read back the same`, async () => {
    for (const size of SIZES) {
      const { fields, rows } = makeFile(size, nullShare)
      const layout = (['bytes', 'slice', 'dictionary'] as const)[size % 3] ?? 'bytes'
      const options = size > 4000 ? { pageRows: 2048, rowGroupRows: 8192 } : {}
      const bytes = encode(fields, [batchOf(fields, rows, size > 5000 ? 'bytes' : layout)], options)
      const expected = canonicalRows(fields, rows)
      const path = duckdb.keep(bytes)
      assert.deepEqual(await duckdb.read(fields, path), expected, `DuckDB, ${size} rows`)
      const approximate = fields.findIndex((field) => field.name === 'money38')
      const withoutWide = (list: unknown[][]): unknown[][] => list.map((row) => row.toSpliced(approximate, 1))
      assert.deepEqual(withoutWide(await readByHyparquet(fields, bytes)), withoutWide(expected), `hyparquet, ${size} rows`)
      await checkFilters(path)
    }
  })
}

/** A wrong bound makes a reader leave rows out: the answers with and without statistics must agree. */
async function checkFilters(path: string): Promise<void> {
  const conditions = [
    "long >= 'üü' AND long <= 'ÿ'",
    'nan > 9',
    'nan <= 0',
    'special = 0',
    'special < 0',
    'counter > 5',
    'any_int < 0',
    "few = ''",
    "few > 'b'",
    'flag',
    'money38 < 0',
    `"at" >= TIMESTAMPTZ '2023-11-14 22:13:20+00'`,
  ]
  for (const condition of conditions) {
    const [[pushed]] = (await duckdb.query(`SELECT count(*) FROM read_parquet('${path}') WHERE ${condition}`)) as [[bigint]]
    const [[full]] = (await duckdb.query(
      `SELECT coalesce(sum(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0)::BIGINT FROM read_parquet('${path}')`,
    )) as [[bigint]]
    assert.equal(pushed, full, condition)
  }
}
