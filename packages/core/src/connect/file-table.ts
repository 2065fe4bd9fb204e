// A table that is read from a file once, to its end, before the first stream record of the task that joins it.
import type { Field } from '../codec/column.ts'

export interface FileTable {
  readonly kind: 'file-table'
  readonly name: string
  readonly path: string
  readonly format: 'csv' | 'json'
  /** Between the fields of CSV; default comma. */
  readonly separator?: string
  readonly fields: readonly Field[]
  readonly primaryKey: readonly string[]
}
