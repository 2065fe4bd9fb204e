// A disk in memory that does everything a real one may do, decided by one seed.
//
//  - Unsynced sectors are lost at a crash in any subset (so writes tear), unsynced sizes too (simulated-inode.ts).
//  - Creations, renames and removals are safe only after syncFolder; before that a crash keeps a prefix of them, per folder.
//  - Reads may be short, the disk may be full (a write then stops in the middle), a sync may fail (then nothing of that file can be trusted
//    any more, and its handle refuses everything), bits flip when asked to.
//  - The power can be cut at the n-th operation: from there on every call throws SimulatedPowerCut.
//
// crash() gives the disk that a restart sees. The same seed and the same calls give the same disk, byte for byte.
import type { Disk, DiskFile, FileStat, OpenMode } from '../base/disk.ts'
import { MillraceError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import { SECTOR_BYTES, SimulatedInode } from './simulated-inode.ts'

export interface SimulatedDiskOptions {
  readonly random: Random
  /** Runs syncLater. */
  readonly scheduler: Scheduler
  /** Default unlimited. */
  readonly capacityBytes?: number
  /** Chance that a read gives fewer bytes than are there. Default 0.05. */
  readonly shortReadChance?: number
}

/** Thrown by every call after the power was cut. */
export class SimulatedPowerCut extends Error {
  override readonly name = 'SimulatedPowerCut'
}

const WRITE_BACK_CHANCE = 0.05
const SHORT_READ_CHANCE = 0.05
/** Of the event loop, for what is done in the background. */
const LATER_TURNS_MAX = 4
const UNLIMITED = 2 ** 50
const UNCLEAN = /^\.?\/|\/\.?(\/|$)|^\.$/

/** Files and folders by path. */
type Names = Map<string, SimulatedInode | 'folder'>

/** A change of names that is not safe yet. */
interface NameChange {
  readonly folder: string
  readonly apply: (names: Names) => void
}

export class SimulatedDisk implements Disk {
  readonly #options: SimulatedDiskOptions
  readonly #random: Random
  readonly #live: Names = new Map()
  readonly #safe: Names = new Map()
  readonly #locks = new Set<string>()
  #changes: NameChange[] = []
  #capacityBytes: number
  #syncFailures = 0
  #syncFailureCode = 'EIO'
  #inodeCount = 0
  #operationsLeft = Number.POSITIVE_INFINITY
  /** What was asked of the disk so far. */
  readonly counts: { reads: number; writes: number; syncs: number; bytesWritten: number; operations: number } = {
    reads: 0,
    writes: 0,
    syncs: 0,
    bytesWritten: 0,
    operations: 0,
  }

  constructor(options: SimulatedDiskOptions) {
    this.#options = options
    this.#random = options.random
    this.#capacityBytes = options.capacityBytes ?? UNLIMITED
  }

  open(path: string, mode: OpenMode): DiskFile {
    this.operate()
    const name = clean(path)
    const known = this.#live.get(name)
    if (known === 'folder') throw failed(path, 'open', 'EISDIR')
    if (known !== undefined) return new SimulatedFile(this, path, known, mode !== 'read')
    if (mode !== 'create') throw failed(path, 'open', 'ENOENT')
    this.#requireFolder(parentOf(name), path, 'open')
    const made = new SimulatedInode(++this.#inodeCount, this.counts.operations)
    this.#change(parentOf(name), (names) => names.set(name, made))
    return new SimulatedFile(this, path, made, true)
  }

  exists(path: string): boolean {
    this.operate()
    return this.#isFolder(clean(path)) || this.#live.has(clean(path))
  }

  /** The clock of this file system is the count of its operations. A folder has no size and was never written. */
  stat(path: string): FileStat | null {
    this.operate()
    const name = clean(path)
    const thing = this.#live.get(name)
    if (thing === undefined || thing === 'folder')
      return this.#isFolder(name) ? { size: 0, identity: `folder ${name}`, modifiedMs: 0, isFile: false } : null
    return { size: thing.size, identity: String(thing.number), modifiedMs: thing.modifiedMs, isFile: true }
  }

  list(path: string): readonly string[] {
    this.operate()
    const folder = clean(path)
    if (this.#live.has(folder) && !this.#isFolder(folder)) throw failed(path, 'list', 'ENOTDIR')
    const start = folder === '' ? 0 : folder.length + 1
    const names: string[] = []
    for (const name of this.#live.keys())
      if (name.length > start && (start === 0 || name.startsWith(`${folder}/`)) && !name.includes('/', start)) names.push(name.slice(start))
    return names.sort()
  }

  makeFolder(path: string): void {
    this.operate()
    const folder = clean(path)
    if (this.#isFolder(folder)) return
    if (this.#live.has(folder)) throw failed(path, 'make folder', 'EEXIST')
    this.makeFolder(parentOf(folder))
    this.#change(parentOf(folder), (names) => names.set(folder, 'folder'))
  }

  remove(path: string): void {
    this.operate()
    const gone = clean(path)
    if (!this.#live.has(gone)) return
    this.#change(parentOf(gone), (names) => {
      for (const name of names.keys()) if (name === gone || name.startsWith(`${gone}/`)) names.delete(name)
    })
  }

  rename(from: string, to: string): void {
    this.operate()
    const [source, target] = [clean(from), clean(to)]
    if (!this.#live.has(source)) throw failed(from, 'rename', 'ENOENT')
    this.#requireFolder(parentOf(target), to, 'rename')
    this.#change(parentOf(target), (names) => move(names, source, target))
  }

  syncFolder(path: string): void {
    this.operate()
    const folder = clean(path)
    this.#requireFolder(folder, path, 'sync folder')
    this.counts.syncs++
    if (this.#takeSyncFailure()) throw failed(path, 'sync folder', this.#syncFailureCode)
    for (const change of this.#changes) if (change.folder === folder) change.apply(this.#safe)
    this.#changes = this.#changes.filter((change) => change.folder !== folder)
  }

  freeBytes(path: string): number {
    this.operate()
    this.#requireFolder(clean(path), path, 'ask for free space')
    return this.#room()
  }

  lock(path: string): { release(): void } {
    this.operate()
    const folder = clean(path)
    this.#requireFolder(folder, path, 'lock')
    if (this.#locks.has(folder)) throw new MillraceError('MR_LOG_LOCKED', { details: { path, pid: 1 } })
    this.#locks.add(folder)
    return { release: () => void this.#locks.delete(folder) }
  }

  /** The power goes now: this disk is dead, the one returned is what a restart finds. */
  crash(): SimulatedDisk {
    this.cutPowerAfter(0)
    const after = new SimulatedDisk({ ...this.#options, random: this.#random.fork(), capacityBytes: this.#capacityBytes })
    after.#inodeCount = this.#inodeCount
    after.counts.operations = this.counts.operations
    for (const [folder, changes] of Map.groupBy(this.#changes, (change) => change.folder)) {
      void folder
      for (const change of changes.slice(0, this.#random.below(changes.length + 1))) change.apply(this.#safe)
    }
    for (const [name, thing] of [...this.#safe].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // A folder that did not survive takes with it what lies in it. Parents sort before their children.
      if (!after.#isFolder(parentOf(name))) continue
      const survivor = thing === 'folder' ? thing : thing.afterCrash(this.#random)
      after.#live.set(name, survivor)
      after.#safe.set(name, survivor)
    }
    return after
  }

  /** Cuts the power after that many more operations (calls that ask the disk for something). */
  cutPowerAfter(operations: number): void {
    this.#operationsLeft = operations
  }

  /** Lets the next syncs fail with this code of the system: `ENOSPC` is what late allocation and thin volumes do. */
  failSyncs(count: number, code: 'EIO' | 'ENOSPC' = 'EIO'): void {
    this.#syncFailures = count
    this.#syncFailureCode = code
  }

  /** Changes how much fits; below what is used, every write that needs room fails. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = Math.min(bytes, UNLIMITED)
  }

  /** Flips a bit of a file, on the platter and for readers. Not an operation. */
  flipBit(path: string, position: number, bit: number): void {
    const file = this.#live.get(clean(path))
    if (file === undefined || file === 'folder') throw failed(path, 'flip a bit', 'ENOENT')
    file.flipBit(position, bit)
  }

  /** Bytes of all files. */
  usedBytes(): number {
    const inodes = new Set([...this.#live.values()].filter((thing) => thing !== 'folder'))
    return [...inodes].reduce((sum, inode) => sum + inode.size, 0)
  }

  // What follows is for the files of this disk.

  /** Counts an operation; throws when the power is gone. */
  operate(): void {
    if (this.#operationsLeft <= 0) throw new SimulatedPowerCut('the power was cut')
    this.#operationsLeft--
    this.counts.operations++
  }

  readLength(wanted: number): number {
    this.counts.reads++
    const isShort = wanted > 1 && this.#random.chance(this.#options.shortReadChance ?? SHORT_READ_CHANCE)
    return isShort ? 1 + this.#random.below(wanted - 1) : wanted
  }

  write(inode: SimulatedInode, path: string, source: Uint8Array, position: number): void {
    this.counts.writes++
    const needed = Math.max(0, position + source.length - inode.size)
    const room = needed === 0 ? 0 : this.#room()
    const fits = needed <= room ? source.length : Math.max(0, source.length - (needed - room))
    inode.write(source.subarray(0, fits), position)
    inode.modifiedMs = this.counts.operations
    this.counts.bytesWritten += fits
    if (this.#random.chance(WRITE_BACK_CHANCE)) inode.writeBackSome(this.#random)
    if (fits < source.length) throw new MillraceError('MR_DISK_FULL', { details: { path, operation: 'write', code: 'ENOSPC' } })
  }

  /** Adding up all files is dear, and most disks are never full. */
  #room(): number {
    return this.#capacityBytes === UNLIMITED ? UNLIMITED : Math.max(0, this.#capacityBytes - this.usedBytes())
  }

  /** Makes the file safe, or throws and leaves it in the state that nobody can trust. */
  sync(inode: SimulatedInode, path: string): void {
    this.counts.syncs++
    if (this.#takeSyncFailure()) this.#spoil(inode, path)
    inode.sync()
  }

  /** What becomes of a write around the memory of files. */
  aroundChance(): 'taken' | 'refused' | 'small' {
    return this.#random.pick(['taken', 'taken', 'taken', 'refused', 'small', 'small'])
  }

  /** Settles some turns later. */
  async later(): Promise<void> {
    for (let turns = 1 + this.#random.below(LATER_TURNS_MAX); turns > 0; turns--) await this.#options.scheduler.turn()
  }

  async syncLater(inode: SimulatedInode, path: string): Promise<void> {
    this.counts.syncs++
    const fails = this.#takeSyncFailure()
    const snapshot = inode.snapshot()
    await this.later()
    this.operate()
    if (fails) this.#spoil(inode, path)
    inode.settle(snapshot)
  }

  #spoil(inode: SimulatedInode, path: string): never {
    inode.writeBackSome(this.#random)
    inode.forgetDirty()
    throw failed(path, 'sync', this.#syncFailureCode)
  }

  #takeSyncFailure(): boolean {
    if (this.#syncFailures === 0) return false
    this.#syncFailures--
    return true
  }

  #change(folder: string, apply: (names: Names) => void): void {
    apply(this.#live)
    this.#changes.push({ folder, apply })
  }

  #isFolder(name: string): boolean {
    return name === '' || this.#live.get(name) === 'folder'
  }

  #requireFolder(name: string, path: string, operation: string): void {
    if (!this.#isFolder(name)) throw failed(path, operation, 'ENOENT')
  }
}

class SimulatedFile implements DiskFile {
  readonly path: string
  readonly #disk: SimulatedDisk
  readonly #inode: SimulatedInode
  readonly #writable: boolean
  #closed = false
  #failure: MillraceError | null = null

  constructor(disk: SimulatedDisk, path: string, inode: SimulatedInode, writable: boolean) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
    this.#writable = writable
  }

  size(): number {
    this.#operate('stat', false)
    return this.#inode.size
  }

  read(target: Uint8Array, position: number): number {
    this.#operate('read', false)
    const available = Math.max(0, Math.min(target.length, this.#inode.size - position))
    return this.#inode.read(target.subarray(0, this.#disk.readLength(available)), position)
  }

  write(source: Uint8Array, position: number): void {
    this.#operate('write', true)
    this.#disk.write(this.#inode, this.path, source, position)
  }

  writeAll(sources: readonly Uint8Array[], position: number): void {
    this.#operate('write', true)
    let at = position
    for (const source of sources) {
      this.#disk.write(this.#inode, this.path, source, at)
      at += source.length
    }
  }

  /** As a system does it: not worth it or refused now and then, else it lands some turns later, also when others have written meanwhile. */
  writeAround(sources: readonly Uint8Array[], position: number): Promise<boolean> | null {
    const chance = this.#disk.aroundChance()
    return chance === 'small' ? null : this.#writeAround(chance === 'taken', sources, position)
  }

  /** One that is refused may have written some of it. */
  writeAroundNow(sources: readonly Uint8Array[], position: number): boolean {
    const chance = this.#disk.aroundChance()
    if (chance === 'small') return false
    this.writeAll(chance === 'taken' ? sources : sources.slice(0, 1), position)
    return chance === 'taken'
  }

  /** Whole sectors, as a system writes them around its memory. */
  writeImage(image: Uint8Array, start: number, end: number): void {
    const from = start - (start % SECTOR_BYTES)
    const to = Math.min(image.length, Math.ceil(end / SECTOR_BYTES) * SECTOR_BYTES)
    this.write(image.subarray(from, to), from)
  }

  truncate(size: number): void {
    this.#operate('truncate', true)
    this.#inode.truncate(size)
    this.#inode.modifiedMs = this.#disk.counts.operations
  }

  sync(): void {
    this.#operate('sync', false)
    this.#keepFailure(() => this.#disk.sync(this.#inode, this.path))
  }

  async syncLater(): Promise<void> {
    this.#operate('sync', false)
    try {
      await this.#disk.syncLater(this.#inode, this.path)
    } catch (error) {
      if (error instanceof MillraceError) this.#failure = error
      throw error
    }
  }

  close(): void {
    this.#closed = true
  }

  async #writeAround(isTaken: boolean, sources: readonly Uint8Array[], position: number): Promise<boolean> {
    this.#operate('write', true)
    let at = position
    for (const source of sources) {
      await this.#disk.later()
      // The handle is pinned until this settles, and the power may be gone.
      this.#operate('write', true)
      if (!isTaken) return false
      this.#disk.write(this.#inode, this.path, source, at)
      at += source.length
    }
    return isTaken
  }

  #keepFailure(action: () => void): void {
    try {
      action()
    } catch (error) {
      if (error instanceof MillraceError) this.#failure = error
      throw error
    }
  }

  #operate(operation: string, writes: boolean): void {
    this.#disk.operate()
    if (this.#closed || (writes && !this.#writable)) throw failed(this.path, operation, 'EBADF')
    if (this.#failure !== null) throw this.#failure
  }
}

function move(names: Names, source: string, target: string): void {
  const thing = names.get(source)
  // The source did not survive in this view of the names (its creation was lost): there is nothing to move.
  if (thing === undefined) return
  for (const [name, inner] of names) {
    if (!name.startsWith(`${source}/`)) continue
    names.delete(name)
    names.set(target + name.slice(source.length), inner)
  }
  names.delete(source)
  names.set(target, thing)
}

/** Paths are compared as text: without `./`, doubled or trailing slashes. The root is ''. */
function clean(path: string): string {
  if (!UNCLEAN.test(path)) return path
  return path
    .split('/')
    .filter((step) => step !== '' && step !== '.')
    .join('/')
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}

function failed(path: string, operation: string, code: string): MillraceError {
  return new MillraceError('MR_DISK_FAILED', { details: { path, operation, code } })
}

export { SECTOR_BYTES }
