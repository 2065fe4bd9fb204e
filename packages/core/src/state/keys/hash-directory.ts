// The tables of a hash index and the directory over them (extendible hashing): how they grow, split, merge and shrink. A table is one
// Int32Array: pairs (slot + 1, hash), then its count and its depth. Directory element i serves the hashes whose upper 16 bits end in i; the
// lower 16 bits choose the place inside a table. Keys that share one 32-bit hash cannot be split: their table grows on its own.

const FIRST_ENTRIES = 16
const TABLE_ENTRIES_MAX = 1 << 16
const DEPTH_MAX = 16
/** At most 5/8 full: a miss then looks at about four entries, on one or two cache lines. */
export const FULL_SHARE = 5 / 8
/** Trailing words of a table. */
export const COUNT = 0
const DEPTH = 1
export const TRAILER_WORDS = 2
const ENTRY_BYTES = 8
const TOGETHER_KEYS_MAX = 1 << 19
/** A little below two, so that the tables double. */
const GROWTH = 1.9
/** Most keys made room for per key that is there: a small index wastes no more when many were expected. */
const EXPECTED_FACTOR_MAX = 16

export class HashDirectory {
  /** Power of two; a table of smaller depth stands in it several times. */
  tables: Int32Array[] = []
  mask = 0
  /** Keys in all tables. */
  count = 0
  /** Keys that may come: what grows goes there in few steps instead of many. 0: not known. */
  expected = 0
  /**
   * Tables of the largest size that nobody uses, shared with other directories: they are taken before new ones are made. Whoever owns the list
   * counts them. Null: none are kept.
   */
  spare: Int32Array[] | null = null
  #depth = 0
  #bytes = 0
  /** A table has grown beyond the largest size. */
  #isSkewed = false

  constructor() {
    this.clear()
  }

  clear(): void {
    this.tables = [newTable(FIRST_ENTRIES, 0)]
    this.mask = 0
    this.#depth = 0
    this.#bytes = (this.tables[0] as Int32Array).byteLength
    this.count = 0
    this.#isSkewed = false
  }

  /** The tables of the largest size, for another directory; this one is empty then. */
  giveUp(): Int32Array[] {
    const whole = new Set(this.tables.filter(isWhole))
    this.clear()
    return [...whole]
  }

  /** Bytes of all tables. */
  bytes(): number {
    return this.#bytes
  }

  /** Empty tables for `count` keys. */
  setTables(count: number): void {
    const entries = Math.max(FIRST_ENTRIES, 1 << Math.ceil(Math.log2(count / FULL_SHARE + 1)))
    const depth = Math.min(DEPTH_MAX, Math.max(0, Math.ceil(Math.log2(entries / TABLE_ENTRIES_MAX))))
    this.tables = Array.from({ length: 1 << depth }, () => this.#emptyTable(Math.min(entries, TABLE_ENTRIES_MAX), depth))
    this.mask = this.tables.length - 1
    this.#depth = depth
    this.#bytes = this.tables.length * (this.tables[0] as Int32Array).byteLength
  }

  #emptyTable(entries: number, depth: number): Int32Array {
    const table = entries === TABLE_ENTRIES_MAX ? this.spare?.pop() : undefined
    if (table === undefined) return newTable(entries, depth)
    table.fill(0)
    table[entries * 2 + DEPTH] = depth
    return table
  }

  /** Adds a key that is missing. */
  add(slot: number, hash: number): void {
    for (;;) {
      const table = this.tables[(hash >>> 16) & this.mask] as Int32Array
      const entries = (table.length - TRAILER_WORDS) >> 1
      if ((table[entries * 2 + COUNT] as number) >= entries * FULL_SHARE) {
        this.#grow(table, hash)
        continue
      }
      place(table, slot + 1, hash)
      this.count++
      return
    }
  }

  /** Takes a key out that is there. */
  remove(slot: number, hash: number): void {
    const table = this.tables[(hash >>> 16) & this.mask] as Int32Array
    const entries = (table.length - TRAILER_WORDS) >> 1
    const mask = entries - 1
    let hole = hash & mask
    while (table[hole * 2] !== slot + 1) hole = (hole + 1) & mask
    // Backward shift: pull up every later entry of the run whose home does not lie behind the hole.
    for (let next = (hole + 1) & mask; table[next * 2] !== 0; next = (next + 1) & mask) {
      const home = (table[next * 2 + 1] as number) & mask
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      table[hole * 2] = table[next * 2] as number
      table[hole * 2 + 1] = table[next * 2 + 1] as number
      hole = next
    }
    table[hole * 2] = 0
    table[hole * 2 + 1] = 0
    const count = (table[entries * 2 + COUNT] as number) - 1
    table[entries * 2 + COUNT] = count
    this.count--
    if (count * 8 < entries && entries > FIRST_ENTRIES) this.#shrink(table, hash)
  }

  #grow(table: Int32Array, hash: number): void {
    const goal = this.#goal()
    // Tables of the largest size split by further bits into such as hold their keys; a larger one, full of one hash, does not.
    if (!this.#isSkewed && goal / FULL_SHARE > this.#bytes / ENTRY_BYTES) return this.#makeRoomFor(goal)
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (entries < TABLE_ENTRIES_MAX) this.#replace(table, hash, resized(table, Math.min(TABLE_ENTRIES_MAX, entries * 4)))
    else if (depth < DEPTH_MAX && splits(table, depth)) this.#split(table)
    else {
      this.#isSkewed = true
      this.#replace(table, hash, resized(table, entries * 2))
    }
  }

  /** Keys to make room for in one step; 0 to go on table by table. Up to a size one step takes milliseconds, and costs less than many. */
  #goal(): number {
    if (this.expected > this.count * 2) return Math.min(this.expected, this.count * EXPECTED_FACTOR_MAX)
    return this.count < TOGETHER_KEYS_MAX ? this.count * GROWTH : 0
  }

  /** Goes to the size for `keys` in one step. */
  #makeRoomFor(keys: number): void {
    const tables = new Set(this.tables)
    this.setTables(keys)
    for (const table of tables) {
      this.#placeAll(table)
      if (isWhole(table)) this.spare?.push(table)
    }
  }

  #placeAll(table: Int32Array): void {
    const { tables, mask } = this
    const words = table.length - TRAILER_WORDS
    for (let at = 0; at < words; at += 2) {
      const hash = table[at + 1] as number
      if (table[at] !== 0) place(tables[(hash >>> 16) & mask] as Int32Array, table[at] as number, hash)
    }
  }

  /** Puts `next` wherever `table` stands; `hash` is one that it serves. */
  #replace(table: Int32Array, hash: number, next: Int32Array): void {
    const depth = table[table.length - TRAILER_WORDS + DEPTH] as number
    const step = 1 << depth
    for (let index = (hash >>> 16) & (step - 1); index < this.tables.length; index += step) this.tables[index] = next
    this.#bytes += next.byteLength - table.byteLength
  }

  #split(table: Int32Array): void {
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (depth === this.#depth) {
      this.tables = this.tables.concat(this.tables)
      this.#depth++
      this.mask = this.tables.length - 1
    }
    const bit = 1 << depth
    const count = table[entries * 2 + COUNT] as number
    const upper = countWithBit(table, bit)
    const low = this.#emptyTable(entriesFor(count - upper), depth + 1)
    const high = this.#emptyTable(entriesFor(upper), depth + 1)
    for (let entry = 0; entry < entries; entry++) {
      const slot = table[entry * 2] as number
      if (slot === 0) continue
      const hash = table[entry * 2 + 1] as number
      place((hash >>> 16) & bit ? high : low, slot, hash)
    }
    for (let index = 0; index < this.tables.length; index++) {
      if (this.tables[index] === table) this.tables[index] = index & bit ? high : low
    }
    this.#bytes += low.byteLength + high.byteLength - table.byteLength
  }

  /** Merges the table with its other half, or halves it when it is the only one. */
  #shrink(table: Int32Array, hash: number): void {
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (entries > TABLE_ENTRIES_MAX || depth === 0) {
      this.#replace(table, hash, resized(table, entries >> 1))
      return
    }
    const index = (hash >>> 16) & ((1 << depth) - 1)
    const buddy = this.tables[index ^ (1 << (depth - 1))] as Int32Array
    const buddyEntries = (buddy.length - TRAILER_WORDS) >> 1
    const buddyCount = buddy[buddyEntries * 2 + COUNT] as number
    if (buddy[buddyEntries * 2 + DEPTH] !== depth || buddyEntries !== entries || buddyCount * 4 > entries) return
    const merged = newTable(entries, depth - 1)
    moveAll(table, merged)
    moveAll(buddy, merged)
    for (let at = 0; at < this.tables.length; at++) {
      if (this.tables[at] === table || this.tables[at] === buddy) this.tables[at] = merged
    }
    this.#bytes += merged.byteLength - table.byteLength - buddy.byteLength
  }
}

function newTable(entries: number, depth: number): Int32Array {
  const table = new Int32Array(entries * 2 + TRAILER_WORDS)
  table[entries * 2 + DEPTH] = depth
  return table
}

function isWhole(table: Int32Array): boolean {
  return table.length === TABLE_ENTRIES_MAX * 2 + TRAILER_WORDS
}

function place(table: Int32Array, value: number, hash: number): void {
  const entries = (table.length - TRAILER_WORDS) >> 1
  const mask = entries - 1
  let entry = hash & mask
  while (table[entry * 2] !== 0) entry = (entry + 1) & mask
  table[entry * 2] = value
  table[entry * 2 + 1] = hash
  table[entries * 2 + COUNT] = (table[entries * 2 + COUNT] as number) + 1
}

function moveAll(from: Int32Array, to: Int32Array): void {
  const words = from.length - TRAILER_WORDS
  for (let at = 0; at < words; at += 2) if (from[at] !== 0) place(to, from[at] as number, from[at + 1] as number)
}

function resized(table: Int32Array, entries: number): Int32Array {
  const next = newTable(entries, table[table.length - TRAILER_WORDS + DEPTH] as number)
  moveAll(table, next)
  return next
}

/** Entries of a half that gets `count` keys: a whole table, more only where keys of one hash overflow it. */
function entriesFor(count: number): number {
  let entries = TABLE_ENTRIES_MAX
  while (count >= entries * FULL_SHARE) entries *= 2
  return entries
}

function countWithBit(table: Int32Array, bit: number): number {
  const words = table.length - TRAILER_WORDS
  let count = 0
  for (let at = 0; at < words; at += 2) if (table[at] !== 0 && ((table[at + 1] as number) >>> 16) & bit) count++
  return count
}

/** Whether splitting by the next bit leaves each half room; keys of one hash would all go to one side. */
function splits(table: Int32Array, depth: number): boolean {
  const share = countWithBit(table, 1 << depth) / (table[table.length - TRAILER_WORDS + COUNT] as number)
  return share > 0.1 && share < 0.9
}
