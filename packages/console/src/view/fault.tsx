import { RequestError } from '../feed/requests.ts'

/** An answer that was no success: what happened, and what to do. */
export function Fault({ error }: { readonly error: Error }): React.ReactNode {
  const known = error instanceof RequestError
  return (
    <p className="fault" role="alert">
      <strong>{known ? error.code : 'No answer'}</strong> {error.message} {known && <span className="fix">{error.fix}</span>}
    </p>
  )
}
