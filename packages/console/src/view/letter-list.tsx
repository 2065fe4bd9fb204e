import type { DeadLetterGroup, RetryRequest } from 'millrace/api'
import { getDeadLetters } from '../feed/requests.ts'
import { Fault } from './fault.tsx'
import { usePolled } from './hooks.ts'
import { Letter } from './letter.tsx'

const EVERY_MS = 3000
/** The command line shows more. */
const LETTERS_MAX = 50

/** The newest letters of one cause. */
export function LetterList({
  group,
  retry,
}: {
  readonly group: DeadLetterGroup
  readonly retry: (request: RetryRequest) => Promise<void>
}): React.ReactNode {
  const { pipeline, code, operator } = group
  const letters = usePolled(`${pipeline} ${code} ${operator}`, EVERY_MS, (signal) =>
    getDeadLetters({ pipeline, code, operator, limit: LETTERS_MAX }, signal),
  )
  const retryOne = async (id: number): Promise<void> => {
    await retry({ ids: [id] })
    letters.refresh()
  }
  return (
    <>
      {letters.error !== null && <Fault error={letters.error} />}
      <ol className="letter-list">
        {(letters.value ?? []).map((letter) => (
          <Letter key={letter.id} letter={letter} common={group.sample.message} retry={retryOne} />
        ))}
      </ol>
      {group.count > LETTERS_MAX && (
        <p className="muted">
          The first {LETTERS_MAX} are shown; <code>millrace dlq list</code> has all.
        </p>
      )}
    </>
  )
}
