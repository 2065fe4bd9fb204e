// Numbers that must not be mixed up carry a brand; it exists only for the type checker.

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]?: Name }

/** Position of a record in its partition. Increases, not dense. */
export type Offset = Brand<number, 'Offset'>
/** When something happened, milliseconds since 1970-01-01 UTC. */
export type EventTimeMs = Brand<number, 'EventTimeMs'>
/** Index of a partition in its topic, from 0. */
export type PartitionId = Brand<number, 'PartitionId'>
/** Number of a tick: opaque, never goes back. */
export type Tick = Brand<number, 'Tick'>
