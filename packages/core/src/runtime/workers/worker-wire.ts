// What the pipeline and its worker threads say to each other.
import { errorFromWire, errorToWire, type WireError } from '../../log/remote/wire.ts'
import type { TaskEvent } from '../environment.ts'
import type { TableQuestion, TaskFailure, TaskReport } from '../task-host.ts'

export type ToWorker =
  | { readonly kind: 'stop'; readonly id: number; readonly part: string }
  | { readonly kind: 'table'; readonly id: number; readonly question: TableQuestion }
  | { readonly kind: 'close'; readonly id: number }

type Posted<T> = T extends { readonly error: unknown } ? Omit<T, 'error'> & { readonly error: WireError } : T

export type FromWorker =
  /** The tasks could not even be made. */
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'ready' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'event'; readonly event: Posted<TaskEvent> }
  | { readonly kind: 'reports'; readonly reports: readonly TaskReport[]; readonly failures: readonly Posted<TaskFailure>[] }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }

export function postedEvent(event: TaskEvent): Posted<TaskEvent> {
  return 'error' in event ? { ...event, error: errorToWire(event.error) } : event
}
export function eventOf(event: Posted<TaskEvent>): TaskEvent {
  return 'error' in event ? { ...event, error: errorFromWire(event.error) } : event
}
export function postedFailure({ phase, error }: TaskFailure): Posted<TaskFailure> {
  return { phase, error: errorToWire(error) }
}
export function failureOf({ phase, error }: Posted<TaskFailure>): TaskFailure {
  return { phase, error: errorFromWire(error) }
}
