// From a gathered exchange batch to the batches of rows in it.
import type { Batch } from '../../codec/column.ts'
import type { InputSpec } from '../../compile/topology.ts'
import { readBlock } from '../../codec/block.ts'
import { RecordRows } from '../../codec/record-rows.ts'

const rows = new RecordRows()

/** Each record behind the head is one block. */
export function exchangeRows(spec: Extract<InputSpec, { kind: 'exchange' }>, bytes: Uint8Array): readonly Batch[] {
  const count = rows.read(bytes, 0)
  const batches: Batch[] = []
  for (let row = 1; row < count; row++) {
    batches.push(withOpenValues(readBlock(bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number), spec.open))
  }
  return batches
}

/** The rows of a block; open ones get their JavaScript values from the `$value` column. */
export function withOpenValues(batch: Batch, open: boolean): Batch {
  const first = batch.columns[0]
  return open && first !== undefined && first !== null && first.layout === 'variant' ? { ...batch, values: first.values } : batch
}
