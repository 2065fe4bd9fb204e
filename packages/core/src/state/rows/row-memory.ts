// What the rows of a store lie in: pages, and an arena for what does not fit a page.
import type { Layout } from './layout.ts'
import { ByteArena } from './byte-arena.ts'
import { type RowFormat, rowFormat } from './row-format.ts'
import { RowKeys } from './row-keys.ts'
import { RowPages } from './row-pages.ts'

export interface RowMemory {
  readonly format: RowFormat
  readonly rows: RowPages
  readonly arena: ByteArena
  readonly keys: RowKeys
  /** Columns whose lanes hold 64-bit integers. */
  readonly promoted: boolean[]
}

/** @param hasMany Many chains of pages come and go. */
export function newRowMemory(layout: Layout, hasMany: boolean): RowMemory {
  const format = rowFormat(layout)
  const rows = new RowPages(format, hasMany)
  const arena = new ByteArena()
  return { format, rows, arena, keys: new RowKeys(rows, arena, format), promoted: layout.value.map(() => false) }
}
