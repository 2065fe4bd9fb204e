// Files that are tables: read to their end in every incarnation of a task, before the first row of any other input.
// Bad lines go to the dead letters once per start of the pipeline: every task group reads the file, and only the first one says them.
import type { TaskCore } from './task/task-core.ts'
import type { TaskEnvironment } from './environment.ts'
import { readFileTable } from '../compile/file-table.ts'

/** Parts whose dead letters of files are committed, by start. */
const said = new WeakMap<TaskEnvironment, Set<string>>()

export class FileTables {
  readonly #core: TaskCore
  readonly #said: Set<string>
  #isRead = false

  constructor(core: TaskCore) {
    this.#core = core
    this.#said = said.get(core.environment) ?? new Set()
    said.set(core.environment, this.#said)
  }

  /** Called in each tick before its rows; does something in the first one only. Throws MR_TABLE_FILE. */
  read(): void {
    const { part, group, environment } = this.#core
    if (this.#isRead) {
      // Another tick: the first one is committed.
      this.#said.add(part.name)
      return
    }
    this.#isRead = true
    const isSaid = group !== 0 || this.#said.has(part.name)
    for (const [index, input] of part.inputs.entries()) {
      if (input.kind !== 'file-table') continue
      const bytes = readFileTable(input.table, environment.disk)
      for (const { batch, lines, rejected } of environment.compiler.fileTable(input.table, bytes)) {
        if (!isSaid) for (const { row, error } of rejected) this.#core.letters.reject(input.name, 0, lines, row, error)
        if (batch.selectedCount > 0) this.#core.process(index, batch)
      }
    }
  }
}
