// Files that are tables: read to their end in every incarnation of a task, before the first row of any other input.
import type { TaskCore } from './task-core.ts'
import { readFully } from '../base/disk.ts'

export class FileTables {
  readonly #core: TaskCore
  #isRead = false

  constructor(core: TaskCore) {
    this.#core = core
  }

  /** Called in each tick before its rows; does something in the first one only. */
  read(): void {
    if (this.#isRead) return
    this.#isRead = true
    const { disk, compiler } = this.#core.environment
    for (const [index, input] of this.#core.part.inputs.entries()) {
      if (input.kind !== 'file-table') continue
      const file = disk.open(input.table.path, 'read')
      try {
        const bytes = new Uint8Array(file.size())
        readFully(file, bytes, 0)
        for (const batch of compiler.fileTable(input.table, bytes)) this.#core.process(index, batch)
      } finally {
        file.close()
      }
    }
  }
}
