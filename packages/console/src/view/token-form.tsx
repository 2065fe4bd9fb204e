import { useState } from 'react'
import { giveToken } from '../feed/token.ts'

/** Asks for the token of a server that listens on more than the loopback address. */
export function TokenForm({ retry }: { readonly retry: () => void }): React.ReactNode {
  const [token, setToken] = useState('')
  const submit = (event: React.SubmitEvent): void => {
    event.preventDefault()
    giveToken(token.trim())
    retry()
  }
  return (
    <form className="panel token" onSubmit={submit}>
      <h2>This plant asks for a token</h2>
      <p className="muted">It is the one that the server was started with. It is kept in this tab alone.</p>
      <label className="field grow">
        Token
        <input type="password" autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} />
      </label>
      <button type="submit" disabled={token.trim() === ''}>
        Open
      </button>
    </form>
  )
}
