// A small honest sink: rows as JSON lines in staged files, shown by rename. It keeps the laws SINK-1 to SINK-4 on a disk that loses power.
import type { ConnectorSpec, Field, Sink, SinkBatch, SinkContext, SinkWriter } from '@millrace/core/connect'
import { columnValue } from '@millrace/core/engine'
import type { Column } from '@millrace/core/engine'
import type { Event } from './rows.ts'

const SPEC: ConnectorSpec = { type: 'sim-archive', summary: 'JSON lines on the simulated disk.', fields: [], example: '' }

/** The folder that all archives lie in. */
export const ARCHIVES = 'archive'

interface Intent {
  readonly staged: string
  readonly shown: string
}

export interface ArchiveOptions {
  readonly folder: string
  readonly rowsMax: number
  readonly ageMsMax: number
}

/** Files appear in `folder` as `GROUP-NUMBER.rows`. */
export function archive(options: ArchiveOptions): Sink<Event> {
  return {
    kind: 'sink',
    spec: SPEC,
    guarantee: 'transactional',
    acceptsUpdates: false,
    settings: { folder: options.folder },
    check: () => undefined,
    open: async (context, lastIntent) => new ArchiveWriter(context, options, lastIntent),
  }
}

class ArchiveWriter implements SinkWriter {
  readonly #context: SinkContext
  readonly #options: ArchiveOptions
  readonly #staging: string
  #lines: string[] = []
  #number: number
  #firstAtMs = 0

  constructor(context: SinkContext, options: ArchiveOptions, lastIntent: Uint8Array | null) {
    this.#context = context
    this.#options = options
    this.#staging = `${options.folder}.staging`
    const { disk } = context
    for (const folder of [options.folder, this.#staging]) {
      if (disk.exists(folder)) continue
      disk.makeFolder(folder)
      disk.syncFolder(ARCHIVES)
      disk.syncFolder('')
    }
    const last = lastIntent === null ? null : decodeIntent(lastIntent)
    for (const name of disk.list(this.#staging)) {
      const isMine = name.startsWith(`${context.group}-`)
      if (isMine && name !== last?.staged) disk.remove(`${this.#staging}/${name}`)
    }
    this.#number = last === null ? 0 : Number(last.shown.split(/[-.]/)[1]) + 1
  }

  write({ batch }: SinkBatch): void {
    const { fields, clock } = this.#context
    if (this.#lines.length === 0) this.#firstAtMs = clock.monotonicMs()
    for (let index = 0; index < batch.selectedCount; index++) {
      const row = batch.selected === null ? index : (batch.selected[index] as number)
      this.#lines.push(`${JSON.stringify(rowOf(batch.columns, fields, row))}\n`)
    }
  }

  wantsCheckpoint(): boolean {
    const { rowsMax, ageMsMax } = this.#options
    if (this.#lines.length === 0) return false
    return this.#lines.length >= rowsMax || this.#context.clock.monotonicMs() - this.#firstAtMs >= ageMsMax
  }

  async prepare(): Promise<Uint8Array | null> {
    if (this.#lines.length === 0) return null
    const { disk, group, epoch } = this.#context
    const intent: Intent = { staged: `${group}-${epoch}-${this.#number}.staged`, shown: `${group}-${this.#number}.rows` }
    const file = disk.open(`${this.#staging}/${intent.staged}`, 'create')
    try {
      file.write(new TextEncoder().encode(this.#lines.join('')), 0)
      file.sync()
    } finally {
      file.close()
    }
    disk.syncFolder(this.#staging)
    this.#lines = []
    this.#number++
    return new TextEncoder().encode(JSON.stringify(intent))
  }

  async publish(intent: Uint8Array): Promise<void> {
    const { staged, shown } = decodeIntent(intent)
    const { disk } = this.#context
    if (!disk.exists(`${this.#staging}/${staged}`)) return
    disk.rename(`${this.#staging}/${staged}`, `${this.#options.folder}/${shown}`)
    disk.syncFolder(this.#options.folder)
  }

  async close(): Promise<void> {
    this.#lines = []
  }
}

function decodeIntent(bytes: Uint8Array): Intent {
  return JSON.parse(new TextDecoder().decode(bytes)) as Intent
}

function rowOf(columns: readonly (Column | null)[], fields: readonly Field[], row: number): Record<string, unknown> {
  return Object.fromEntries(fields.map((field, index) => [field.name, columnValue(columns[index] as Column, field.type, row)]))
}
