/** What a task counts, of its commits and of the rows in them. */
export interface CommitFigures {
  commits: number
  commitMsLast: number
  commitMsMax: number
  rowsIn: number
  rowsOut: number
  deadLetters: number
  /** Wall time at which the newest rows became visible. */
  lastCommitAtMs: number
  /** How long the oldest record of the newest commit had waited since its append; null while that is not known. */
  visibleMs: number | null
}

export function newFigures(): CommitFigures {
  return { commits: 0, commitMsLast: 0, commitMsMax: 0, rowsIn: 0, rowsOut: 0, deadLetters: 0, lastCommitAtMs: 0, visibleMs: null }
}
