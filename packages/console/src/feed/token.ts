// The token of a server that asks for one. Kept for as long as the tab is open, and sent with every request of the page.

const KEY = 'millrace-token'

export function giveToken(token: string): void {
  sessionStorage.setItem(KEY, token)
}

/** The header that carries the token, when there is one. */
export function authorization(): Readonly<Record<string, string>> {
  const token = sessionStorage.getItem(KEY)
  return token === null ? {} : { authorization: `Bearer ${token}` }
}
