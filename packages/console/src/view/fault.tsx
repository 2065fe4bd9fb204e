import { RequestError } from '../feed/requests.ts'
import { Prose } from './prose.tsx'

/** An answer that was no success: what happened, and what to do. No answer at all is said once, at the top of the page. */
export function Fault({ error }: { readonly error: Error }): React.ReactNode {
  if (!(error instanceof RequestError)) return <p className="fault quiet-fault">No answer from the server; trying again.</p>
  return (
    <p className="fault" role="alert">
      <strong>{error.code}</strong> <Prose text={error.message} />{' '}
      <span className="fix">
        <Prose text={error.fix} />
      </span>
    </p>
  )
}
