// A promise that the pipeline's own code let go of, and that failed. Node ends a process for one; a plant would end with every pipeline of it,
// and again after each start, because the record is read again.
import { MillraceError } from '../base/errors.ts'
import { thrownText } from '../base/thrown-text.ts'
import { isOwnFailure, userPlaceOf } from '../base/user-place.ts'

/**
 * What Node reports as an unhandled rejection, as an error that names the place; null when millrace's own code failed: then the process must
 * end, because nobody knows what is left undone.
 */
export function strayFailure(reason: unknown): MillraceError | null {
  if (isOwnFailure(reason)) return null
  const place = userPlaceOf(reason)
  return new MillraceError('MR_RUNTIME_USER_STRAY', {
    message: `a promise failed that nobody waits for: ${thrownText(reason)}`,
    details: place === null ? {} : { place },
    cause: reason,
  })
}
