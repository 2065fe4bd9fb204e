// The checkpoint: makes a full half of the journal free by writing its batches into their segments, in the background.
//
// The order is the guarantee: fill the segments from memory, fdatasync each (and the folders of new files), write and fdatasync the slot,
// and only then may the half be overwritten. Filling writes to the positions that the journal recorded, so doing it again is harmless.
import type { Disk } from '../../base/disk.ts'
import { isMillraceError } from '../../base/errors.ts'
import { sleep, type Scheduler } from '../../base/scheduler.ts'
import type { FileCache } from './file-cache.ts'
import type { Half } from './half.ts'
import { writePiecewise } from './piecewise-write.ts'
import type { PartitionState } from './partition.ts'
import type { Segment } from './segment.ts'
import type { SlotWriter } from './slot.ts'
import type { StateImage } from './state.ts'
import { BY_REFERENCE, type Tail } from './tail.ts'

/** Bytes written between two turns of the event loop. */
const SLICE_BYTES = 1 << 20
/** Writes, and then syncs, in flight: the threads of the pool that a process has by default. */
const AT_ONCE = 4
/** How long a checkpoint that met a full disk waits before it tries again. */
const RETRY_MS = 1_000

/** What a checkpoint writes into one segment: pieces that follow each other there. */
interface Fill {
  readonly path: string
  readonly bytes: number
  readonly extents: readonly { readonly pieces: readonly Uint8Array[]; readonly position: number }[]
}

export class Checkpointer {
  readonly #disk: Disk
  readonly #folder: string
  readonly #files: FileCache
  readonly #slots: SlotWriter
  readonly #scheduler: Scheduler
  /** Folders with files made since the last sync. */
  readonly #freshFolders = new Set<string>()
  readonly #paths = new Set<string>()
  #running: Promise<void> | null = null
  #stopped = false
  #count = 0
  #directWrites: 'taken' | 'refused' | null = null

  constructor(disk: Disk, folder: string, files: FileCache, slots: SlotWriter, scheduler: Scheduler) {
    this.#disk = disk
    this.#folder = folder
    this.#files = files
    this.#slots = slots
    this.#scheduler = scheduler
  }

  /** Checkpoints done. */
  get count(): number {
    return this.#count
  }

  /** What became of the last writes that were worth going around the system's memory of files; null before the first. */
  get directWrites(): 'taken' | 'refused' | null {
    return this.#directWrites
  }

  get running(): boolean {
    return this.#running !== null
  }

  /** Makes the sizes of the halves durable. A checkpoint that runs writes a newer image later. */
  recordSizes(): void {
    this.#slots.writeSizes()
  }

  /** Settles when no checkpoint runs. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  /** A checkpoint that meets a full disk gives up from now on; used when the log is closed or has failed. */
  stop(): void {
    this.#stopped = true
  }

  /**
   * Checkpoints `half` in the background; `image` is the state at its end. `done` is called when the half is free, `failed` when the disk
   * failed. A full disk is waited for: the data is safe in the journal meanwhile.
   */
  start(half: Half, image: StateImage, done: () => void, failed: (error: unknown) => void): void {
    this.#running = this.#run(half, image).then(
      (finished) => {
        this.#running = null
        if (finished) done()
      },
      (error: unknown) => {
        this.#running = null
        failed(error)
      },
    )
  }

  /** The same in the foreground, for recovery and closing, over several halves at once. */
  now(halves: readonly Half[], image: StateImage): void {
    for (const half of olderFirst(halves)) {
      for (const { path, extents } of this.#fills(half)) {
        for (const { pieces, position } of extents) writePiecewise(this.#files.get(path), pieces, position)
      }
    }
    for (const path of this.#paths) this.#files.get(path).sync()
    this.#paths.clear()
    this.#syncFolders()
    this.#slots.write(image)
    for (const half of halves) half.restart()
    this.#count++
  }

  /** Makes sure that the folder exists and remembers to sync it once a file was made in it. Returns nothing; cheap when known. */
  prepareFile(partition: PartitionState, path: string): void {
    if (this.#files.has(path) || this.#disk.exists(path)) return
    this.#disk.makeFolder(partition.folder)
    this.#freshFolders.add(partition.folder)
  }

  /** Syncs the folders of files made since the last time. */
  syncFolders(): void {
    this.#syncFolders()
  }

  async #run(half: Half, image: StateImage): Promise<boolean> {
    for (;;) {
      try {
        await this.#writeAll(half)
        await this.#syncAll()
        this.#syncFolders()
        this.#slots.write(image)
        half.restart()
        this.#count++
        return true
      } catch (error) {
        if (!isMillraceError(error) || error.code !== 'MR_DISK_FULL') throw error
        if (!this.#stopped) await sleep(this.#scheduler, RETRY_MS)
        if (this.#stopped) return false
      }
    }
  }

  /** Writes the half's batches into their segments: large ones in the background, several at once, while commits go on. */
  async #writeAll(half: Half): Promise<void> {
    const flying = new Set<Promise<void>>()
    const failures: unknown[] = []
    let bytes = 0
    try {
      for (const fill of this.#fills(half)) {
        const writing: Promise<void> = this.#write(fill)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => flying.delete(writing))
        flying.add(writing)
        bytes += fill.bytes
        if (flying.size >= AT_ONCE) await Promise.race(flying)
        if (failures.length > 0) break
        if (bytes < SLICE_BYTES) continue
        bytes = 0
        await this.#scheduler.turn()
      }
    } finally {
      // Nobody may close a file, or try again, while a write is on its way.
      await Promise.all(flying)
    }
    if (failures.length > 0) throw failures[0]
  }

  async #write({ path, extents }: Fill): Promise<void> {
    const file = this.#files.pin(path)
    try {
      for (const { pieces, position } of extents) {
        const around = file.writeAround?.(pieces, position) ?? null
        const taken = around !== null && (await around)
        if (around !== null) this.#directWrites = taken ? 'taken' : 'refused'
        if (!taken) writePiecewise(file, pieces, position)
      }
    } finally {
      this.#files.unpin(path)
    }
  }

  async #syncAll(): Promise<void> {
    const paths = [...this.#paths]
    for (let at = 0; at < paths.length; at += AT_ONCE) {
      const group = paths.slice(at, at + AT_ONCE)
      const files = group.map((path) => this.#files.pin(path))
      const results = await Promise.allSettled(files.map((file) => file.syncLater()))
      for (const path of group) this.#files.unpin(path)
      for (const result of results) if (result.status === 'rejected') throw result.reason
    }
    this.#paths.clear()
  }

  #syncFolders(): void {
    if (this.#freshFolders.size === 0) return
    // A new partition's folder is itself an entry of its topic's folder, and so on up to the log's own.
    const folders = new Set<string>()
    for (const folder of this.#freshFolders) {
      for (let path = folder; path.length >= this.#folder.length; path = path.slice(0, path.lastIndexOf('/'))) folders.add(path)
    }
    for (const folder of folders) this.#disk.syncFolder(folder)
    this.#freshFolders.clear()
  }

  /** What goes into each segment, one segment after the other; its index is written when it comes up. */
  *#fills(half: Half): Generator<Fill, void, undefined> {
    for (const partition of half.touched) {
      const tail = partition.tails[half.index] as Tail
      for (let run = 0; run < tail.segments.length && !partition.deleted; run++) {
        const segment = tail.segments[run] as Segment
        if (segment.removed) continue
        const to = tail.segmentFrom[run + 1] ?? tail.count
        yield this.#fill(half, partition, segment, tail, tail.segmentFrom[run] as number, to)
      }
    }
  }

  #fill(half: Half, partition: PartitionState, segment: Segment, tail: Tail, from: number, to: number): Fill {
    this.prepareFile(partition, segment.path)
    if (partition.filling !== segment && (partition.filling === null || partition.filling.base < segment.base)) {
      if (partition.filling) this.#finish(partition, partition.filling, segment.base)
      partition.filling = segment
    }
    const rows = segment.rows(this.#files, partition.id)
    const extents: { pieces: Uint8Array[]; position: number }[] = []
    let pieces: Uint8Array[] = []
    let endAt = -1
    let memoryFrom = 0
    let memoryTo = -1
    let bytes = 0
    for (let at = from; at < to; at++) {
      const place = tail.places[at] as number
      const length = tail.lengths[at] as number
      const position = tail.positions[at] as number
      const appendMs = tail.appendTimes[at] as number
      // Filling again after a full disk writes the bytes anew; their rows are there.
      if (position >= segment.filled) {
        if (rows.wants(position, appendMs, position === segment.filled))
          rows.add(tail.firstOffsets[at] as number, position, partition.filledEventMaxMs, appendMs)
        partition.filledEventMaxMs = Math.max(partition.filledEventMaxMs, tail.eventTimes[at] as number)
        partition.filledAppendMs = appendMs
        segment.filled = position + length
      }
      bytes += length
      if (place === BY_REFERENCE) continue
      if (position !== endAt || place !== memoryTo) {
        if (memoryTo > memoryFrom) pieces.push(half.memory.subarray(memoryFrom, memoryTo))
        if (position !== endAt) extents.push({ pieces: (pieces = []), position })
        memoryFrom = place
      }
      memoryTo = place + length
      endAt = position + length
    }
    if (memoryTo > memoryFrom) pieces.push(half.memory.subarray(memoryFrom, memoryTo))
    this.#paths.add(segment.path)
    rows.flush(this.#files.get(segment.indexPath))
    return { path: segment.path, bytes, extents }
  }

  /** Nothing more comes into this segment: exact length, end row, and an index that is durable too. */
  #finish(partition: PartitionState, segment: Segment, end: number): void {
    const file = this.#files.get(segment.path)
    if (file.size() > segment.size) file.truncate(segment.size)
    const rows = segment.rows(this.#files, partition.id)
    rows.end = { offset: end, position: segment.size, eventMaxMs: partition.filledEventMaxMs, appendMs: partition.filledAppendMs }
    rows.flush(this.#files.get(segment.indexPath))
    this.#paths.add(segment.path)
    this.#paths.add(segment.indexPath)
    segment.releaseIndex()
  }
}

/** In the order in which they were written, which the indexes need. Only a partition with batches in both can tell, and only it minds. */
function olderFirst(halves: readonly Half[]): readonly Half[] {
  return halves.toSorted((one, two) => {
    const shared = [...one.touched].find((partition) => two.touched.has(partition))
    if (shared === undefined) return 0
    return (shared.tails[one.index]?.firstOffsets[0] ?? 0) - (shared.tails[two.index]?.firstOffsets[0] ?? 0)
  })
}
