// The Parquet encoder: batches of the engine's columns in, bytes of one file out, row group by row group.
// It buffers at most one row group, opens nothing and knows no disk; the bytes are a function of the rows, the fields and the options,
// not of how the rows came in batches (only whether a column came as a dictionary may change which encoding is chosen).
// Not written: bloom filters, size statistics, sorting columns.
import { assert, must } from '@millrace/core/connect'
import type { Batch, Field } from '@millrace/core/connect'
import { BytesLeaf } from './bytes-leaf.ts'
import { ChunkWorkspace, type PageOptions, writeChunk } from './chunk.ts'
import { fileEnd, MAGIC, type RowGroupEntry } from './footer.ts'
import type { Leaf } from './leaf.ts'
import { BoolLeaf, I32Leaf, WideLeaf } from './number-leaf.ts'
import { fileSchema, type FileSchema, type LeafSchema } from './schema.ts'
import { appendField } from './shred.ts'
import { CREATED_BY } from './version.ts'

/** Where the bytes of a file go. `write` must take or copy the bytes before it returns: they are reused. */
export interface ParquetOutput {
  write(bytes: Uint8Array): void
  /** Bytes written so far; the encoder starts wherever this is and expects to be alone. */
  readonly position: number
}

export interface ParquetOptions {
  readonly output: ParquetOutput
  /** Rows per row group, default 122,880: large enough for scans and dictionaries, small enough for several readers per file. */
  readonly rowGroupRows?: number
  /** Bytes buffered before a row group ends early, default 64 MiB. It bounds memory when rows are large. */
  readonly rowGroupBytes?: number
  /** Rows per page, default 40,960. Smaller pages let point queries read less; each costs a header and a call to zstd. */
  readonly pageRows?: number
  /** Bytes per page before compression, default 8 MiB; a page has at least one row. */
  readonly pageBytes?: number
  /** Default `zstd`. */
  readonly compression?: 'zstd' | 'none'
  /** Level of zstd, default 1: on event data higher levels are slower and no smaller. */
  readonly compressionLevel?: number
  /** Bytes of distinct values per dictionary, default 4 MiB. */
  readonly dictionaryBytes?: number
  /** Key-value pairs for the footer. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Buffers shared with other encoders of this thread; default: own ones. */
  readonly workspace?: ChunkWorkspace
}

export interface ParquetEncoder {
  /** Adds the selected rows. Column i of the batch belongs to field i; copies what it keeps. Weights are not looked at. */
  write(batch: Batch): void
  /** Ends the row group and gives its memory back; nothing happens when no row is buffered. */
  flush(): void
  /** Ends the file. The encoder cannot be used afterwards. */
  finish(): { readonly rowCount: number; readonly rowGroupCount: number; readonly size: number }
  /** Rows written so far. */
  readonly rowCount: number
  /** Rows that wait for their row group to end. */
  readonly bufferedRows: number
  /** Bytes of the rows that wait; a function of the rows. */
  readonly bufferedBytes: number
  /** Bytes of memory that the encoder holds, buffers and footer entries; approximate. */
  readonly memoryBytes: number
}

const MEBIBYTE = 1024 * 1024
/** The size of the buffered rows is looked at whenever this many rows are there, so that the answer does not depend on the batches. */
const STEP_ROWS = 1024
/** Rows so large that not even a step of them fits end the row group at once. */
const OVERRUN_MAX = 2
/** What the entries of a page and a chunk take in memory until the footer is written, and a leaf without values; measured, roughly. */
const PAGE_ENTRY_BYTES = 400
const CHUNK_ENTRY_BYTES = 600
const LEAF_BYTES = 2500

function leafFor(schema: LeafSchema, dictionaryBytes: number): Leaf {
  switch (schema.type.kind) {
    case 'bool':
      return new BoolLeaf(schema)
    case 'i32':
      return new I32Leaf(schema)
    case 'f64':
    case 'i64':
    case 'time':
    case 'decimal':
      return new WideLeaf(schema)
    case 'string':
    case 'bytes':
    case 'json':
      return new BytesLeaf(schema, { dictionaryBytesMax: dictionaryBytes })
  }
}

class FileEncoder implements ParquetEncoder {
  readonly #schema: FileSchema
  readonly #leaves: readonly Leaf[]
  readonly #output: ParquetOutput
  readonly #workspace: ChunkWorkspace
  readonly #pages: PageOptions
  readonly #rowGroupRows: number
  readonly #rowGroupBytes: number
  readonly #metadata: Readonly<Record<string, string>>
  readonly #groups: RowGroupEntry[] = []
  #entryBytes = 0
  #batchNumber = 0
  #groupRows = 0
  #rowCount = 0
  #open = true

  constructor(fields: readonly Field[], options: ParquetOptions) {
    this.#schema = fileSchema(fields)
    const dictionaryBytes = options.dictionaryBytes ?? 4 * MEBIBYTE
    this.#leaves = this.#schema.leaves.map((leaf) => leafFor(leaf, dictionaryBytes))
    this.#output = options.output
    this.#workspace = options.workspace ?? new ChunkWorkspace()
    this.#pages = {
      pageRows: options.pageRows ?? 40_960,
      pageBytes: options.pageBytes ?? 8 * MEBIBYTE,
      compression: options.compression ?? 'zstd',
      compressionLevel: options.compressionLevel ?? 1,
    }
    this.#rowGroupRows = options.rowGroupRows ?? 122_880
    this.#rowGroupBytes = options.rowGroupBytes ?? 64 * MEBIBYTE
    assert(
      this.#pages.pageRows > 0 && this.#pages.pageBytes > 0 && this.#rowGroupRows > 0 && this.#rowGroupBytes > 0,
      'sizes of pages and row groups are above zero',
    )
    this.#metadata = options.metadata ?? {}
  }

  get rowCount(): number {
    return this.#rowCount
  }

  get bufferedRows(): number {
    return this.#groupRows
  }

  get bufferedBytes(): number {
    return this.#leaves.reduce((sum, leaf) => sum + leaf.usedBytes(), 0)
  }

  get memoryBytes(): number {
    return this.#leaves.reduce((sum, leaf) => sum + leaf.allocatedBytes() + LEAF_BYTES, this.#entryBytes)
  }

  write(batch: Batch): void {
    assert(this.#open, 'write to a Parquet file that is finished')
    assert(batch.columns.length === this.#schema.nodes.length, 'the batch has one column per field')
    this.#batchNumber++
    const total = batch.selected === null ? batch.rowCount : batch.selectedCount
    let from = 0
    while (from < total) {
      const to = Math.min(total, from + STEP_ROWS - (this.#groupRows % STEP_ROWS), from + this.#rowGroupRows - this.#groupRows)
      this.#schema.nodes.forEach((node, index) => {
        appendField(
          node,
          must(batch.columns[index], `column of field ${node.name}`),
          batch.selected,
          from,
          to,
          this.#leaves,
          this.#batchNumber,
        )
      })
      this.#groupRows += to - from
      this.#rowCount += to - from
      from = to
      if (this.#groupIsFull()) this.#endGroup(false)
    }
  }

  #groupIsFull(): boolean {
    if (this.#groupRows === this.#rowGroupRows) return true
    const bytes = this.bufferedBytes
    return (bytes >= this.#rowGroupBytes && this.#groupRows % STEP_ROWS === 0) || bytes >= this.#rowGroupBytes * OVERRUN_MAX
  }

  #begin(): void {
    if (this.#groups.length === 0) this.#output.write(MAGIC)
  }

  #endGroup(release: boolean): void {
    this.#begin()
    const position = this.#output.position
    const chunks = this.#leaves.map((leaf) => {
      const entry = writeChunk(leaf, this.#groupRows, this.#output.position, this.#workspace, this.#pages)
      this.#output.write(this.#workspace.out.written())
      leaf.clear(release)
      this.#entryBytes += CHUNK_ENTRY_BYTES + entry.pages.length * PAGE_ENTRY_BYTES
      return entry
    })
    this.#groups.push({ rowCount: this.#groupRows, position, chunks })
    this.#groupRows = 0
  }

  flush(): void {
    assert(this.#open, 'flush of a Parquet file that is finished')
    if (this.#groupRows > 0) this.#endGroup(true)
    else for (const leaf of this.#leaves) leaf.clear(true)
  }

  finish(): { readonly rowCount: number; readonly rowGroupCount: number; readonly size: number } {
    this.flush()
    this.#begin()
    this.#open = false
    const { compression } = this.#pages
    this.#output.write(
      fileEnd(this.#groups, this.#output.position, { schema: this.#schema, compression, createdBy: CREATED_BY, metadata: this.#metadata }),
    )
    return { rowCount: this.#rowCount, rowGroupCount: this.#groups.length, size: this.#output.position }
  }
}

/**
 * Makes an encoder for one file with these fields.
 * Row order is the order of writing. State: one row group. Deterministic.
 * @throws {MillraceError} `MR_PARQUET_FIELD` when a field cannot be written to Parquet.
 * @example
 * const encoder = parquetEncoder(fields, { output })
 * for (const batch of batches) encoder.write(batch)
 * encoder.finish()
 */
export function parquetEncoder(fields: readonly Field[], options: ParquetOptions): ParquetEncoder {
  return new FileEncoder(fields, options)
}
