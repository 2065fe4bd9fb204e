// Who has a port that is taken: another millrace says its folder and process id over HTTP, anything else is only known to be there.
import { get } from 'node:http'
import { MillraceError } from '@millrace/core/engine'

const ASK_MS = 1000

export interface PortOwner {
  /** Null: it asks for a token, and says no more to strangers. */
  readonly pid: number | null
  readonly folder: string | null
}

/** The millrace that listens there, or null when something else does. */
export function askPortOwner(host: string, port: number): Promise<PortOwner | null> {
  return new Promise((resolve) => {
    // By a name that each answers to. The own token stays here: nobody knows who is there.
    const request = get({ host, port, path: '/health', headers: { host: 'localhost' }, timeout: ASK_MS }, (response) => {
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
    const { millrace } = JSON.parse(text) as { readonly millrace?: PortOwner }
    return millrace === undefined ? null : { pid: millrace.pid, folder: millrace.folder }
  } catch {
    return null
  }
}

/** Of a failure to listen: where the port is taken, says who has it. */
export async function withOwner(error: unknown, host: string, port: number): Promise<unknown> {
  if (!(error instanceof MillraceError) || error.code !== 'MR_SERVER_PORT_TAKEN') return error
  const owner = await askPortOwner(host, port)
  if (owner === null)
    return new MillraceError('MR_SERVER_PORT_TAKEN', {
      message: 'the port is taken by another program.',
      details: { host, port },
      cause: error,
    })
  return new MillraceError('MR_SERVER_PORT_TAKEN', {
    message: 'the port is taken by another millrace.',
    details: { host, port, ...(owner.pid === null ? {} : { pid: owner.pid, folder: owner.folder }) },
    fix: `Stop it${owner.pid === null ? '' : ` (\`kill ${owner.pid}\`)`}, or choose another port with \`--port N\`.`,
    cause: error,
  })
}
