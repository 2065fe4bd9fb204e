// A task's sink: its writer, and the checkpoint (prepare, commit of everything else and the intent in one step, publish). Whoever owns it
// decides what is committed beside the intent: positions of an exchange (sink-loop.ts) or of sources (direct-sink-loop.ts).
// Laws SINK-1 to SINK-5: connect/sink.ts.
import type { Batch } from '../../codec/column.ts'
import type { SinkWriter } from '../../connect/sink.ts'
import type { TaskCore } from '../task/task-core.ts'
import type { SinkStatus } from '../task-loop.ts'
import { must } from '../../base/assert.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'
import { BlockWriter, readBlock } from '../../codec/block.ts'
import { writeBlocks } from '../task/row-blocks.ts'
import { withOpenValues } from '../exchange/exchange-rows.ts'
import { liveRows } from '../../operators/live-rows.ts'

/** What a checkpoint keeps of the sink. */
export interface SinkState {
  /** Newest committed intent, base64; null when there is none. */
  readonly intent: string | null
  /** Running number of rows handed to the sink. */
  readonly sequence: number
}

export class SinkOutput {
  readonly #core: TaskCore
  readonly #writer: SinkWriter
  readonly #name: string
  readonly #writing: { batch: Batch | null }
  #blocks: BlockWriter | null = null
  /** A write that says when there is room again; what comes meanwhile waits as copies. */
  #pending: Promise<void> | null = null
  #waiting: Batch[] = []
  #failure: { readonly error: unknown } | null = null
  #state: SinkState
  #sequence: number
  #dirty = false

  private constructor(core: TaskCore, writer: SinkWriter, name: string, writing: { batch: Batch | null }, state: SinkState) {
    this.#core = core
    this.#writer = writer
    this.#name = name
    this.#writing = writing
    this.#state = state
    this.#sequence = state.sequence
  }

  /** Opens the writer of the part's sink where `state` left it, and publishes the newest committed intent. */
  static async open(core: TaskCore, state: SinkState): Promise<SinkOutput> {
    const { environment, part, group } = core
    const { name, sink, fields } = must(part.sink, 'sink')
    const writing = { batch: null as Batch | null }
    const lastIntent = state.intent === null ? null : Uint8Array.from(Buffer.from(state.intent, 'base64'))
    const writer = await sink.open(
      {
        pipeline: environment.plan.pipeline,
        name,
        group,
        groups: part.groups,
        fields,
        epoch: core.epoch,
        clock: environment.clock,
        disk: environment.disk,
        reject: (row, error) => core.letters.reject(name, 0, must(writing.batch, 'batch of the rejected row'), row, error),
      },
      lastIntent,
    )
    // The crash may have come between the commit and the end of publish.
    if (lastIntent !== null) await publishOrClose(writer, lastIntent)
    const output = new SinkOutput(core, writer, name, writing, state)
    core.outputs.openSink((batch) => output.push(batch))
    return output
  }

  get name(): string {
    return this.#name
  }

  /** True when rows were written that no checkpoint has published. */
  get isDirty(): boolean {
    return this.#dirty
  }

  wantsCheckpoint(): boolean {
    return this.#writer.wantsCheckpoint()
  }

  status(): SinkStatus {
    return { rows: this.#sequence - this.#state.sequence, unpublished: this.#writer.unpublished?.() ?? null }
  }

  /** Takes the selected rows; their memory may be used again when the call returns (SINK-5). `settle` follows before the next fetch. */
  push(batch: Batch): void {
    if (batch.selectedCount === 0) return
    this.#dirty = true
    if (this.#pending !== null) this.#hold(batch)
    else this.#write(batch)
  }

  #write(batch: Batch): void {
    this.#writing.batch = batch
    const sequence = this.#sequence
    this.#sequence += batch.selectedCount
    let room: Promise<void> | void
    try {
      room = this.#writer.write({ batch, generation: 0, tick: this.#core.tick, sequence })
    } catch (error) {
      throw retried(error)
    }
    this.#writing.batch = null
    // A promise that nobody waits for yet must not end the process when it is rejected: settle() tells.
    if (room !== undefined)
      this.#pending = room.catch((error: unknown) => {
        this.#failure ??= { error }
      })
  }

  /** Keeps a copy until there is room. */
  #hold(batch: Batch): void {
    const { fields, open } = must(this.#core.part.sink, 'sink')
    this.#blocks ??= new BlockWriter()
    writeBlocks(this.#blocks, fields, batch, liveRows(batch), batch.selectedCount, {
      take: (block) => this.#waiting.push(withOpenValues(readBlock(block.slice(), 0, block.length), open)),
      refuse: (row, error) => this.#core.letters.reject(this.#name, 0, batch, row, error),
    })
  }

  /** Null when the writer has room; else resolves when it has, and throws what a write has failed with. */
  settle(): Promise<void> | null {
    return this.#pending === null ? null : this.#settle()
  }

  async #settle(): Promise<void> {
    while (this.#pending !== null) {
      await this.#pending
      this.#pending = null
      if (this.#failure !== null) throw retried(this.#failure.error)
      const next = this.#waiting.shift()
      if (next !== undefined) this.#write(next)
    }
  }

  /** prepare, commit, publish. A crash between the last two is mended by open(), where the newest committed intent is published again. */
  async checkpoint(commit: (state: SinkState) => Promise<void>): Promise<void> {
    await this.settle()
    const intent = await this.#writer.prepare().catch(rethrow)
    const text = intent === null ? this.#state.intent : Buffer.from(intent.buffer, intent.byteOffset, intent.byteLength).toString('base64')
    const state = { intent: text, sequence: this.#sequence }
    await commit(state)
    this.#state = state
    this.#dirty = false
    if (intent !== null) await this.#writer.publish(intent).catch(rethrow)
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }
}

/** In an outage this fails again and again: each writer that was opened for it is closed. */
async function publishOrClose(writer: SinkWriter, intent: Uint8Array): Promise<void> {
  try {
    await writer.publish(intent)
  } catch (error) {
    // What ended it matters more than that it could not be closed either.
    await writer.close().catch(() => undefined)
    throw retried(error)
  }
}

function rethrow(error: unknown): never {
  throw retried(error)
}

/** Somebody removed the folder of a sink: the next incarnation makes it again. A disk that fails otherwise is not tried again. */
function retried(error: unknown): unknown {
  if (!isMillraceError(error) || error.code !== 'MR_DISK_FAILED' || error.details['code'] !== 'ENOENT') return error
  const { path } = error.details
  return new MillraceError('MR_SINK_FOLDER_GONE', { details: path === undefined ? {} : { path }, cause: error })
}
