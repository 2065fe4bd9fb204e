// Who has a port that is taken: another millrace says its folder and process id over HTTP, anything else is only known to be there.
import { get } from 'node:http'

const ASK_MS = 1000

export interface PortOwner {
  readonly pid: number
  readonly folder: string | null
}

/** The millrace that listens there, or null when something else does. */
export function askPortOwner(host: string, port: number): Promise<PortOwner | null> {
  return new Promise((resolve) => {
    const request = get({ host, port, path: '/health', timeout: ASK_MS }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > 100_000) request.destroy()
      })
      response.on('end', () => resolve(ownerOf(text)))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(null))
    request.on('close', () => resolve(null))
  })
}

function ownerOf(text: string): PortOwner | null {
  try {
    const { millrace } = JSON.parse(text) as { readonly millrace?: { readonly pid: number; readonly folder: string | null } }
    return millrace === undefined ? null : { pid: millrace.pid, folder: millrace.folder }
  } catch {
    return null
  }
}
