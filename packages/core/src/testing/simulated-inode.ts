// The content of one simulated file: what programs see, what is safe on the platter, and which 512-byte sectors differ.
//
// A crash decides sector by sector whether the unsynced content has reached the platter; a sector is never torn inside. In between, sectors
// are written back now and then without being asked, as a kernel does, so that an older unsynced version may be the one that survives.
import type { Random } from '../base/random.ts'

export const SECTOR_BYTES = 512

/** Content of some sectors at one moment; `version` says which write they come from, so that an older one never replaces a newer one. */
export interface SectorSnapshot {
  readonly version: number
  readonly size: number
  readonly sectors: ReadonlyMap<number, { readonly version: number; readonly content: Uint8Array }>
}

export class SimulatedInode {
  /** What it keeps through renames and restarts. */
  readonly number: number
  /** When it was written last. */
  modifiedMs: number
  #live = new Uint8Array(0)
  #safe = new Uint8Array(0)
  /** True: both are the same bytes, since nothing was written yet. Most files are never written after a crash. */
  #isShared = false
  #liveSize = 0
  #safeSize = 0
  #version = 0
  #safeSizeVersion = 0
  /** Unsafe sectors, and the write that changed each of them last. */
  readonly #dirty = new Map<number, number>()
  readonly #safeVersions = new Map<number, number>()

  constructor(number: number, modifiedMs: number) {
    this.number = number
    this.modifiedMs = modifiedMs
  }

  get size(): number {
    return this.#liveSize
  }

  /** Sectors that a crash may lose. */
  get dirtyCount(): number {
    return this.#dirty.size
  }

  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.#liveSize - position))
    target.set(this.#live.subarray(position, position + count))
    return count
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return
    this.#unshare()
    this.#resize(Math.max(this.#liveSize, position + source.length))
    this.#live.set(source, position)
    this.#markDirty(position, position + source.length)
  }

  truncate(size: number): void {
    this.#unshare()
    const before = this.#liveSize
    this.#resize(size)
    if (size < before) this.#live.fill(0, size, before)
    this.#markDirty(Math.min(size, before), Math.max(size, before))
  }

  /** Makes everything safe. */
  sync(): void {
    this.#settleSize(this.#version, this.#liveSize)
    for (const [sector, version] of this.#dirty) this.#makeSafe(sector, version, this.#sector(sector))
  }

  /** What a sync that starts now will make safe. */
  snapshot(): SectorSnapshot {
    const sectors = new Map<number, { version: number; content: Uint8Array }>()
    const copies = new Uint8Array(this.#dirty.size * SECTOR_BYTES)
    let at = 0
    for (const [sector, version] of this.#dirty) {
      const content = copies.subarray(at, at + SECTOR_BYTES)
      content.set(this.#sector(sector))
      sectors.set(sector, { version, content })
      at += SECTOR_BYTES
    }
    return { version: this.#version, size: this.#liveSize, sectors }
  }

  /** A sync that began with this snapshot has ended. Sectors written meanwhile stay unsafe, what is newer on the platter stays. */
  settle(snapshot: SectorSnapshot): void {
    this.#settleSize(snapshot.version, snapshot.size)
    for (const [sector, { version, content }] of snapshot.sectors) this.#makeSafe(sector, version, content)
  }

  /** A sync failed: the kernel forgets that these sectors were dirty, nobody will write them any more. What is read may still be the new content. */
  forgetDirty(): void {
    this.#dirty.clear()
  }

  /** The kernel writes back some sectors on its own account. */
  writeBackSome(random: Random): void {
    for (const [sector, version] of this.#dirty) if (random.chance(0.5)) this.#makeSafe(sector, version, this.#sector(sector))
  }

  /** What a restart finds: for each unsafe sector the old or the new content, for the size the old one, the new one or one between. */
  afterCrash(random: Random): SimulatedInode {
    const survivor = new SimulatedInode(this.number, this.modifiedMs)
    const [small, large] = [Math.min(this.#safeSize, this.#liveSize), Math.max(this.#safeSize, this.#liveSize)]
    const size = random.pick([this.#safeSize, this.#liveSize, small + random.below(large - small + 1)])
    // Nobody reads or writes this inode any more, so its content may live on in the survivor.
    const length = roundUp(Math.max(size, this.#live.length, this.#safe.length))
    let content = this.#safe
    if (content.length !== length) {
      content = new Uint8Array(length)
      content.set(this.#safe)
    }
    for (const sector of this.#dirty.keys()) if (random.chance(0.5)) content.set(this.#sector(sector), sector * SECTOR_BYTES)
    content.fill(0, size)
    survivor.#live = content
    survivor.#safe = content
    survivor.#isShared = true
    survivor.#liveSize = size
    survivor.#safeSize = size
    return survivor
  }

  /** Flips one bit for readers and on the platter. */
  flipBit(position: number, bit: number): void {
    this.#unshare()
    for (const content of [this.#live, this.#safe]) {
      if (position < content.length) content[position] = (content[position] ?? 0) ^ (1 << bit)
    }
  }

  #unshare(): void {
    if (!this.#isShared) return
    this.#safe = this.#live.slice()
    this.#isShared = false
  }

  #settleSize(version: number, size: number): void {
    if (version < this.#safeSizeVersion) return
    this.#safeSize = size
    this.#safeSizeVersion = version
  }

  #sector(sector: number): Uint8Array {
    return this.#live.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)
  }

  #makeSafe(sector: number, version: number, content: Uint8Array): void {
    if (this.#dirty.get(sector) === version) this.#dirty.delete(sector)
    if (version <= (this.#safeVersions.get(sector) ?? 0)) return
    this.#safeVersions.set(sector, version)
    const needed = (sector + 1) * SECTOR_BYTES
    if (needed > this.#safe.length) this.#safe = grown(this.#safe, needed)
    this.#safe.set(content, sector * SECTOR_BYTES)
  }

  #markDirty(start: number, end: number): void {
    this.#version++
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) this.#dirty.set(sector, this.#version)
  }

  #resize(size: number): void {
    if (size > this.#live.length) this.#live = grown(this.#live, size)
    this.#liveSize = size
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES
}

function grown(from: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(roundUp(Math.max(size, from.length * 2)))
  to.set(from)
  return to
}
