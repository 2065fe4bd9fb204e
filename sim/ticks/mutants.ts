/** Deliberate errors of the protocol. Each must be caught by the laws: the proof that the laws can fail. */
export const MUTANTS = {
  'binding-apart': 'output and binding are two commits (rule 1)',
  'no-fencing': 'a zombie may commit (rule 1)',
  'last-entry-only': 'a commit over several ticks states only its last clock (rule 3)',
  'number-not-maxed': 'a tick number ignores the newest seen on progress (rule 5)',
  'wait-for-clock': 'a binder waits until the wall clock has passed its last number (rule 6)',
  'mixed-binds-alone': 'a mixed task never states what it wants (rule 9)',
  'answers-direct-only': 'answers look at direct readers only (rule 11)',
  'idle-silent': 'an idle producer does not answer (rule 12)',
  'full-silent': 'a binder without room does not answer (rule 13)',
  'partial-ticks': 'a reader applies what has arrived (rule 15)',
  'progress-before-data': 'a reader trusts progress before the batches are there (rule 15)',
  'silence-is-idleness': 'a reader passes over a producer that is silent (rule 15)',
  'streams-first': 'tables are applied after streams (rule 16)',
  'order-by-arrival': 'batches of a tick are applied in the order of the channel (rule 16)',
  'no-dedupe': 'batches of applied ticks are not skipped after a restart (rule 17)',
  'watermark-forgotten': 'a restart forgets the clocks of the partitions (rule 19)',
  'fire-by-newest': 'windows fire by the newest watermark heard, not by the tick (rule 21)',
  'fire-at-start': 'windows fire by the watermark before the tick, and nobody makes another one (rule 22)',
  'late-lost': 'a late record is dropped without a count (rule 22)',
  'beat-always': 'heartbeats go on when nothing waits (rule 24)',
  'clock-not-forwarded': 'a task behind an exchange keeps a due watermark for itself (rule 24)',
  'credit-stops-gathering': 'a reader stops at its credit although no tick is complete (rule 26)',
  'room-without-exception': 'a pair with nothing outstanding may still lack room (rule 25)',
} as const

export type Mutant = keyof typeof MUTANTS
