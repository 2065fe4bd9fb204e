import { useEffect } from 'react'
import type { DeadLetterGroup, RetryRequest } from 'millrace/api'
import { getDeadLetters, LETTERS_MAX } from '../feed/requests.ts'
import { Fault } from './fault.tsx'
import { usePolled } from './hooks.ts'
import { Letter } from './letter.tsx'

/** New letters change the group, which asks at once; this is for those that were sent back in elsewhere. */
const EVERY_MS = 10_000

/** The newest letters of one cause. */
export function LetterList({
  group,
  retry,
}: {
  readonly group: DeadLetterGroup
  readonly retry: (request: RetryRequest) => Promise<void>
}): React.ReactNode {
  const { pipeline, code, operator, count } = group
  const newest = group.sample.id
  const letters = usePolled(`${pipeline} ${code} ${operator}`, EVERY_MS, (signal) =>
    getDeadLetters({ pipeline, code, operator, newest, count }, signal),
  )
  const { refresh } = letters
  useEffect(refresh, [refresh, newest, count])
  const retryOne = async (id: number): Promise<void> => {
    await retry({ ids: [id] })
    refresh()
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
          The newest {LETTERS_MAX} are shown; <code>npx millrace dlq show {pipeline}</code> has all.
        </p>
      )}
    </>
  )
}
