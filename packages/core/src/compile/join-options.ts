// What a stream-table join needs: keys of both sides in the form of the table's key, and where each column of the result comes from.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { Problem } from '../codec/coerce.ts'
import type { JoinColumn, JoinLambda, JoinOptions } from '../operators/stream-table-join.ts'
import type { KeyRows, KeySource, LambdaRows, UserFunction } from '../operators/row-functions.ts'
import type { Lambda, Plan, StreamTableJoinNode } from '../plan/node.ts'
import type { TableStore } from '../state/store.ts'
import { must } from '../base/assert.ts'
import { coerce } from '../codec/coerce.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { columnValue } from '../codec/column-value.ts'
import { RowList } from '../operators/live-rows.ts'
import { ROW_VALUE } from '../operators/to-table.ts'
import { fieldsOfShape, sameType } from '../plan/shape.ts'
import { joinKeyFields, joinValueFields } from './stores.ts'

type OutputColumn = Exclude<StreamTableJoinNode['output'], Lambda>[number]

export interface JoinSides {
  readonly streamKeys: KeySource
  readonly tableKeys: KeySource
  readonly streamRows: LambdaRows
}

export function joinOptions(plan: Plan, node: StreamTableJoinNode, store: TableStore, sides: JoinSides): JoinOptions {
  const table = must(plan.nodes[node.inputs[1] ?? -1], 'table')
  const stream = must(plan.nodes[node.inputs[0] ?? -1], 'stream')
  const keyFields = joinKeyFields(plan, node)
  const valueFields = joinValueFields(plan, node)
  const tableFields = fieldsOfShape(table.shape)
  const streamFields = fieldsOfShape(stream.shape)
  const { output } = node
  const columnOf = (column: OutputColumn): JoinColumn => {
    if (column.from === 'stream')
      return { from: 'stream', column: must(streamFields, 'fields of the stream').findIndex((field) => field.name === column.field) }
    const key = node.on.findIndex((pair) => pair.table === column.field)
    return key >= 0
      ? { from: 'key', column: key }
      : { from: 'table', column: valueFields.findIndex((field) => field.name === column.field) }
  }
  const lambda = (code: UserFunction): JoinLambda => ({
    lambda: code,
    rows: sides.streamRows,
    tableFields: tableFields === null ? null : [...keyFields, ...valueFields],
    fields: fieldsOfShape(node.shape),
  })
  return {
    store,
    streamKeys: new MatchingKeys(sides.streamKeys, keyFields),
    tableKeys: new MatchingKeys(sides.tableKeys, keyFields),
    tableValues: valueFields.map((field) => (tableFields === null ? ROW_VALUE : tableFields.indexOf(field))),
    type: node.type,
    output: typeof output === 'function' ? lambda(output as UserFunction) : output.map(columnOf),
    reloads: table.kind === 'table-source' && 'path' in table.from,
  }
}

/**
 * Keys in the kinds of the table's key, so that equal values have equal bytes on both sides. Rows with a missing value, or with one that
 * the table's kind cannot hold, are left out: they match nothing.
 */
class MatchingKeys implements KeySource {
  readonly fields: readonly Field[]
  readonly #inner: KeySource
  readonly #kept = new RowList()
  #converted: (Column | null)[]

  constructor(inner: KeySource, fields: readonly Field[]) {
    this.#inner = inner
    this.fields = fields
    this.#converted = fields.map(() => null)
  }

  read(batch: Batch, rows: Int32Array, count: number): KeyRows {
    const given = this.#inner.read(batch, rows, count)
    let keptRows = given.rows
    let keptCount = given.count
    for (let index = 0; index < this.fields.length; index++) {
      const column = must(given.columns[index], 'key column')
      const isSame = sameType(must(this.#inner.fields[index], 'field').type, must(this.fields[index], 'field').type)
      this.#converted[index] = isSame ? column : this.#convert(column, index, batch.rowCount, keptRows, keptCount)
      const { validity } = this.#converted[index] as Column
      if (validity === null) continue
      const kept = keptRows === given.rows ? this.#kept.reset(keptCount) : this.#kept.rows
      let left = 0
      for (let i = 0; i < keptCount; i++) {
        const row = keptRows[i] as number
        if (validity[row] === 1) kept[left++] = row
      }
      keptRows = kept
      keptCount = left
    }
    return { columns: this.#converted as Column[], rows: keptRows, count: keptCount }
  }

  /** The column in the table's kind; what it cannot hold is null. */
  #convert(column: Column, index: number, size: number, rows: Int32Array, count: number): Column {
    const from = must(this.#inner.fields[index], 'field').type
    const to = must(this.fields[index], 'field').type
    if (column.layout === 'i32' && to.kind === 'i64')
      return { layout: 'f64', values: Float64Array.from(column.values), validity: column.validity }
    const values: unknown[] = Array.from({ length: size }, () => null)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const problems: Problem[] = []
      const value = columnValue(column, from, row)
      const coerced =
        value === null
          ? null
          : coerce(to, false, to.kind === 'i64' && typeof value === 'bigint' && to.big !== true ? Number(value) : value, [], problems)
      values[row] = problems.length === 0 ? coerced : null
    }
    const builder = columnBuilder(to)
    for (const value of values) builder.append(value)
    return builder.finish()
  }
}
