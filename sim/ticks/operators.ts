/**
 * The four operators of the model, pure over their own state. They are not the protocol: they exist so that any error of the protocol
 * (order, lateness, a tick cut in two, a row lost or repeated) changes their output. The task and the oracle share them on purpose.
 */
import { KEYS } from './plan.ts'
import type { OperatorKind } from './plan.ts'
import { mix } from './random.ts'

/** `value` is conserved by every operator, so that lost and repeated rows show in sums; `trail` records what happened on the way. */
export interface Row {
  readonly key: number
  readonly value: number
  readonly time: number
  readonly trail: number
}

export interface OperatorState {
  /** Folds every row and every firing in order, with its tick: equal digests mean equal histories, hence equal views. */
  digest: number
  rowsIn: number
  sumIn: number
  sumOut: number
  lateRows: number
  lateSum: number
  readonly latest: Map<number, number>
  readonly windows: Map<number, { rows: number; sum: number }>
}

export function emptyState(): OperatorState {
  return { digest: 1, rowsIn: 0, sumIn: 0, sumOut: 0, lateRows: 0, lateSum: 0, latest: new Map(), windows: new Map() }
}

export function copyOperator(state: OperatorState): OperatorState {
  const windows = new Map<number, { rows: number; sum: number }>()
  for (const [id, window] of state.windows) windows.set(id, { rows: window.rows, sum: window.sum })
  return { ...state, latest: new Map(state.latest), windows }
}

/** The earliest watermark that would fire a window, or +infinity. */
export function earliestTimer(state: OperatorState, windowMs: number): number {
  let earliest = Infinity
  for (const id of state.windows.keys()) earliest = Math.min(earliest, Math.floor(id / KEYS) * windowMs + windowMs)
  return earliest
}

/** Applies one row of tick `tick`; `before` is the watermark that held before the tick (rule 22). */
export function applyRow(
  kind: OperatorKind,
  state: OperatorState,
  row: Row,
  table: boolean,
  tick: number,
  before: number,
  windowMs: number,
  out: Row[],
): void {
  state.digest = mix(mix(mix(mix(state.digest, tick), row.value * KEYS + row.key), row.time), row.trail)
  if (kind === 'join' && table) {
    state.latest.set(row.key, row.value)
    return
  }
  state.rowsIn++
  state.sumIn += row.value
  if (kind === 'window') {
    const slot = Math.floor(row.time / windowMs)
    if (slot * windowMs + windowMs <= before) {
      state.lateRows++
      state.lateSum += row.value
      return
    }
    const id = slot * KEYS + row.key
    const window = state.windows.get(id)
    if (window === undefined) state.windows.set(id, { rows: 1, sum: row.value })
    else {
      window.rows++
      window.sum += row.value
    }
    return
  }
  state.sumOut += row.value
  if (kind === 'map') {
    out.push({ key: (row.key * 3 + row.value) % KEYS, value: row.value, time: row.time, trail: row.trail })
    return
  }
  const held = state.latest.get(row.key) ?? 0
  if (kind === 'count') state.latest.set(row.key, held + 1)
  out.push({ key: row.key, value: row.value, time: row.time, trail: mix(row.trail, held) })
}

/** Fires the windows that end at or before the watermark of the tick, in order of (end, key); returns how many. */
export function fireWindows(state: OperatorState, tick: number, watermark: number, wall: number, windowMs: number, out: Row[]): number {
  if (state.windows.size === 0) return 0
  const due: number[] = []
  for (const id of state.windows.keys()) if (Math.floor(id / KEYS) * windowMs + windowMs <= watermark) due.push(id)
  due.sort((a, b) => a - b)
  for (const id of due) {
    const window = state.windows.get(id)
    if (window === undefined) continue
    state.windows.delete(id)
    state.sumOut += window.sum
    state.digest = mix(mix(mix(state.digest, tick), id), window.sum)
    const time = Math.floor(id / KEYS) * windowMs + windowMs - 1
    out.push({ key: id % KEYS, value: window.sum, time, trail: mix(mix(window.rows, wall), id) })
  }
  return due.length
}
