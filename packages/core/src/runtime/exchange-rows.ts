// From a gathered exchange batch to the batches of rows in it.
import type { Batch } from '../codec/column.ts'
import type { InputSpec } from '../compile/topology.ts'
import { readBlock } from '../codec/block.ts'
import { RecordRows } from '../codec/record-rows.ts'

const rows = new RecordRows()

/** Each record behind the head is one block. Open rows get their JavaScript values from the `$value` column. */
export function exchangeRows(spec: Extract<InputSpec, { kind: 'exchange' }>, bytes: Uint8Array): readonly Batch[] {
  const count = rows.read(bytes, 0)
  const batches: Batch[] = []
  for (let row = 1; row < count; row++) {
    const batch = readBlock(bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number)
    const first = batch.columns[0]
    batches.push(
      spec.open && first !== undefined && first !== null && first.layout === 'variant' ? { ...batch, values: first.values } : batch,
    )
  }
  return batches
}
