// From a plan node to its running operator: expressions compiled, lambdas given their rows, stores handed in.
import type { AggregateColumn, AggregateOptions } from '../operators/aggregate.ts'
import type { AggregateShape } from '../operators/aggregate-state.ts'
import type { AggregateFunction } from '../operators/aggregate-function.ts'
import type { Operator, OperatorContext } from '../operators/operator.ts'
import type { KeySource, LambdaRows, RowPredicate, UserFunction } from '../operators/row-functions.ts'
import type { ProjectedColumn } from '../operators/project.ts'
import type { Expression } from '../plan/expression.ts'
import type {
  AggregateNode,
  AggregateSpec,
  Lambda,
  Plan,
  PlanNode,
  ProjectNode,
  RowShape,
  StreamTableJoinNode,
  ToTableNode,
} from '../plan/node.ts'
import type { ExpressionFields } from './expression.ts'
import type { InstantiateServices } from './topology.ts'
import { assert, must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { LazyRows } from '../codec/lazy-row.ts'
import { AggregateOperator } from '../operators/aggregate.ts'
import { CustomFunction } from '../operators/aggregate-custom.ts'
import { DistinctFunction } from '../operators/aggregate-distinct.ts'
import { TextExtremeFunction, VariantExtremeFunction } from '../operators/aggregate-extremes.ts'
import { CountFunction, MeanFunction, NumberExtremeFunction, SumFunction } from '../operators/aggregate-numbers.ts'
import { distinctStoreName, stateFields } from '../operators/aggregate-state.ts'
import { BranchOperator } from '../operators/branch.ts'
import { DedupeOperator } from '../operators/dedupe.ts'
import { FilterOperator } from '../operators/filter.ts'
import { FlatMapOperator } from '../operators/flat-map.ts'
import { MapOperator } from '../operators/map.ts'
import { PassOperator } from '../operators/pass.ts'
import { ProjectOperator } from '../operators/project.ts'
import { ScanOperator } from '../operators/scan.ts'
import { StreamTableJoinOperator } from '../operators/stream-table-join.ts'
import { ROW_TIME, ROW_VALUE, ToTableOperator } from '../operators/to-table.ts'
import { fieldsOfShape } from '../plan/shape.ts'
import { compileExpression, compilePredicate } from './expression.ts'
import { joinOptions } from './join-options.ts'
import { keySource, LambdaPredicate } from './row-access.ts'
import { aggregateShapes, OPEN_ROW_FIELD, ROW_TIME_FIELD, tableValueFields } from './stores.ts'

function isPlain(value: Lambda | Expression): value is Expression {
  return typeof value !== 'function'
}

export class OperatorFactory {
  readonly #plan: Plan
  readonly #services: InstantiateServices

  constructor(plan: Plan, services: InstantiateServices) {
    this.#plan = plan
    this.#services = services
  }

  /** The operator of a node. Branches of one call share an operator: `branch` makes it. */
  make(node: PlanNode, context: OperatorContext): Operator {
    switch (node.kind) {
      case 'filter':
        return new FilterOperator(context, this.#predicate(node, node.predicate, context))
      case 'project':
        return new ProjectOperator(context, this.#projected(node))
      case 'map':
        return new MapOperator(context, {
          lambda: node.lambda as UserFunction,
          rows: this.rowsAt(node, 0),
          fields: fieldsOfShape(node.shape),
        })
      case 'flat-map':
        return new FlatMapOperator(context, {
          lambda: node.lambda as UserFunction,
          rows: this.rowsAt(node, 0),
          fields: fieldsOfShape(node.shape),
        })
      case 'merge':
      case 'key-by':
      case 'late':
        return new PassOperator(context)
      case 'aggregate':
        return new AggregateOperator(context, this.#aggregate(node, context))
      case 'dedupe':
        return new DedupeOperator(context, {
          store: context.store(node.name),
          keys: this.#keys(node, 0, node.by, context),
          withinMs: node.withinMs,
        })
      case 'scan':
        return new ScanOperator(context, {
          store: context.store(node.name),
          keys: this.#keys(node, 0, node.by, context),
          rows: this.rowsAt(node, 0),
          initial: node.initial as UserFunction,
          step: node.step as UserFunction,
          fields: fieldsOfShape(node.shape),
        })
      case 'stream-table-join':
        return new StreamTableJoinOperator(context, this.#join(node, context))
      case 'to-table':
        return new ToTableOperator(context, this.#table(node, context))
      default:
        throw new MillraceError('MR_PLAN_NOT_YET', {
          message: `a ${node.kind} is no operator inside a task.`,
          details: { operator: node.name },
        })
    }
  }

  /** One operator for all branches of a call; `branches[i]` is the context of branch i, null when nobody reads it. */
  branch(node: Extract<PlanNode, { kind: 'branch' }>, context: OperatorContext, branches: readonly (OperatorContext | null)[]): Operator {
    return new BranchOperator(
      context,
      node.predicates.map((predicate) => this.#predicate(node, predicate, context)),
      branches,
    )
  }

  #inputShape(node: PlanNode, input: number): RowShape {
    return must(this.#plan.nodes[node.inputs[input] ?? -1], 'input').shape
  }

  #expressionFields(node: PlanNode, input: number): ExpressionFields {
    return fieldsOfShape(this.#inputShape(node, input)) ?? 'open'
  }

  /** Rows of an input as lambdas see them. Each reader has its own: two lambdas may be at different rows. */
  rowsAt(node: PlanNode, input: number): LambdaRows {
    return lambdaRows(this.#inputShape(node, input), this.#services)
  }

  #predicate(node: PlanNode, predicate: Lambda | Expression, context: OperatorContext): RowPredicate {
    if (isPlain(predicate)) return compilePredicate(predicate, this.#expressionFields(node, 0), this.#services.codegen)
    return new LambdaPredicate(predicate as UserFunction, this.rowsAt(node, 0), {
      operator: context.name,
      input: 0,
      deadLetters: context.deadLetters,
    })
  }

  #keys(node: PlanNode, input: number, by: readonly string[] | Lambda, context: OperatorContext): KeySource {
    return keySource(this.#inputShape(node, input), by, this.rowsAt(node, input), {
      operator: context.name,
      input,
      deadLetters: context.deadLetters,
    })
  }

  #projected(node: ProjectNode): readonly ProjectedColumn[] {
    const fields = this.#expressionFields(node, 0)
    return node.columns.map(({ value }): ProjectedColumn => {
      if (value.kind === 'field' && fields !== 'open') return { from: fields.findIndex((field) => field.name === value.name) }
      return compileExpression(value, fields, this.#services.codegen)
    })
  }

  #aggregate(node: AggregateNode, context: OperatorContext): AggregateOptions {
    const input = must(this.#plan.nodes[node.inputs[0] ?? -1], 'input')
    assert(input.mode === 'append', () => `the plan refuses an aggregate over updates: ${node.name}`)
    const shapes = aggregateShapes(this.#plan, node)
    let column = 0
    const aggregates = node.aggregates.map(({ name, spec }, index): AggregateColumn => {
      const shape = must(shapes[index], `aggregate ${name}`)
      const at = column
      column += stateFields(shape).length
      const where =
        spec.kind === 'custom' || spec.where === null
          ? null
          : compilePredicate(spec.where, this.#expressionFields(node, 0), this.#services.codegen)
      return { function: this.#function(node, context, spec, shape, at), result: shape.result, where }
    })
    return {
      store: context.store(node.name),
      keys: this.#keys(node, 0, node.groupBy, context),
      window: node.window,
      aggregates,
      emit: node.emit,
      retracts: node.emit === 'update' && needsOldRows(this.#plan, node),
      rows: this.rowsAt(node, 0),
    }
  }

  #function(node: AggregateNode, context: OperatorContext, spec: AggregateSpec, shape: AggregateShape, column: number): AggregateFunction {
    const store = context.store(node.name)
    if (spec.kind === 'count') return new CountFunction(store, column)
    if (spec.kind === 'custom')
      return new CustomFunction(store, column, {
        initial: spec.initial as UserFunction,
        add: spec.add as UserFunction,
        result: spec.result as UserFunction | null,
      })
    const of = compileExpression(spec.of, this.#expressionFields(node, 0), this.#services.codegen)
    switch (spec.kind) {
      case 'sum':
        return new SumFunction(store, column, of)
      case 'mean':
        return new MeanFunction(store, column, of)
      case 'count-distinct':
        return new DistinctFunction(
          store,
          column,
          context.store(distinctStoreName(node.name, shape.result.name)),
          of,
          node.window?.sizeMs ?? null,
        )
      default: {
        const { kind } = must(shape.of, 'type of the values')
        if (kind === 'string') return new TextExtremeFunction(store, column, of, spec.kind)
        return kind === 'variant'
          ? new VariantExtremeFunction(store, column, of, spec.kind)
          : new NumberExtremeFunction(store, column, of, spec.kind)
      }
    }
  }

  #join(node: StreamTableJoinNode, context: OperatorContext): ReturnType<typeof joinOptions> {
    const streamOn = node.on.map((pair) => pair.stream)
    const tableOn = node.on.map((pair) => pair.table)
    return joinOptions(this.#plan, node, context.store(node.name), {
      streamKeys: this.#keys(node, 0, streamOn, context),
      tableKeys: this.#keys(node, 1, tableOn, context),
      streamRows: this.rowsAt(node, 0),
    })
  }

  #table(node: ToTableNode, context: OperatorContext): ConstructorParameters<typeof ToTableOperator>[1] {
    const fields = fieldsOfShape(this.#inputShape(node, 0)) ?? []
    const values = tableValueFields(this.#plan, node).map((field) => {
      if (field === ROW_TIME_FIELD) return ROW_TIME
      return field === OPEN_ROW_FIELD ? ROW_VALUE : fields.indexOf(field)
    })
    return { store: context.store(node.name), keys: this.#keys(node, 0, node.primaryKey, context), values, retentionMs: node.retentionMs }
  }
}

/** Rows of a shape as user code sees them; open rows are the values themselves. */
export function lambdaRows(shape: RowShape, services: Pick<InstantiateServices, 'codegen' | 'guardRows'>): LambdaRows {
  return new LazyRows(fieldsOfShape(shape) ?? [], { codegen: services.codegen, guard: services.guardRows })
}

/** Kinds behind which a new row replaces the old one by its key alone. A sink is not told the key: it gets −old and +new. */
const UPSERTING: ReadonlySet<PlanNode['kind']> = new Set(['project', 'to-table', 'to-topic'])

/** True when some reader of the node's updates must see the old row: a filter may have let it pass and stop the new one. */
export function needsOldRows(plan: Plan, node: PlanNode): boolean {
  return plan.nodes.some(
    (reader) =>
      reader.kind !== 'late' &&
      reader.inputs.includes(node.id) &&
      (!UPSERTING.has(reader.kind) || (reader.kind === 'project' && needsOldRows(plan, reader))),
  )
}
