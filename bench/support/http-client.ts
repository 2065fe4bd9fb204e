// A small HTTP/1.1 client over node:net for load: keep-alive connections, one request at a time on each, nothing parsed but status and length.
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  readonly body: string
}

/** One connection; `send` again only after the answer. */
export class Connection {
  readonly #socket: Socket
  #received = ''
  #settle: ((answer: Answer) => void) | null = null
  #fail: ((error: Error) => void) | null = null
  isBusy = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text: unknown) => this.#take(String(text)))
    socket.on('error', (error) => this.#fail?.(error))
    socket.on('close', () => this.#fail?.(new Error('the server closed the connection')))
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Connection(socket)))
      socket.once('error', reject)
    })
  }

  /** Sends one whole request, head and body. */
  send(request: Uint8Array): Promise<Answer> {
    this.isBusy = true
    return new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#fail = reject
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#fail = null
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#received = this.#received === '' ? text : this.#received + text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd).toLowerCase()
    const lengthAt = head.indexOf('content-length:')
    if (lengthAt < 0) {
      this.#fail?.(new Error(`an answer without content-length: ${head}`))
      return
    }
    const bodyEnd = headEnd + 4 + Number.parseInt(head.slice(lengthAt + 15), 10)
    if (this.#received.length < bodyEnd) return
    const answer = { status: Number(head.slice(9, 12)), body: this.#received.slice(headEnd + 4, bodyEnd) }
    this.#received = this.#received.slice(bodyEnd)
    this.isBusy = false
    this.#settle?.(answer)
  }
}

/** A request as bytes. */
export function httpRequest(port: number, method: 'GET' | 'POST', target: string, type: string, body: string): Uint8Array {
  const head = `${method} ${target} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n`
  if (method === 'GET') return Buffer.from(`${head}\r\n`, 'latin1')
  return Buffer.from(`${head}content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, 'utf8')
}
