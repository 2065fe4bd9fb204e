// Rows on their way to the dead letters and back. A letter holds the record's own bytes, or all columns of the row at its operator: a row
// made inside the pipeline with columns that nobody reads gets nulls in their place, and a row that comes back as JSON gets its columns.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { Problem } from '../codec/coerce.ts'
import { MillraceError } from '../base/errors.ts'
import { coerceRow } from '../codec/coerce.ts'
import { columnsOf } from '../codec/column-builder.ts'
import { nullColumn } from './row-access.ts'

/** Names of the fields that rows without bytes of their own have lost: nobody behind the exchange reads them. */
export function lostFields(batch: Batch, fields: readonly Field[] | null): readonly string[] {
  if (fields === null || batch.origin !== null || batch.values !== null) return []
  return fields.filter((_, index) => batch.columns[index] === null || batch.columns[index] === undefined).map((field) => field.name)
}

/** The batch with every column, where its rows have no other bytes to come back from. */
export function completeLetter(batch: Batch, fields: readonly Field[]): Batch {
  const columns = fields.map((field, index): Column => batch.columns[index] ?? nullColumn(field, batch.rowCount))
  return { ...batch, columns }
}

/** A batch that can enter an operator with these fields; null when its row was refused. */
export function retriedBatch(batch: Batch, fields: readonly Field[] | null, refuse: (row: number, error: unknown) => void): Batch | null {
  if (fields === null || batch.values === null || batch.columns.length > 0) return batch
  const rows: Record<string, unknown>[] = []
  for (let row = 0; row < batch.rowCount; row++) {
    const value = batch.values[row]
    const problems: Problem[] = []
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    const coerced = coerceRow(fields, isObject ? (value as Readonly<Record<string, unknown>>) : {}, [], problems)
    const [problem] = problems
    if (problem !== undefined) {
      refuse(
        row,
        new MillraceError(problem.code, {
          message: `the record cannot be read again: ${problem.message}.`,
          details: { field: problem.path.join('.') },
        }),
      )
      return null
    }
    rows.push(coerced)
  }
  return { ...batch, columns: columnsOf(fields, rows), values: null }
}
