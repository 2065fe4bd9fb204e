// Server-sent events from a stream of text. The browser's own EventSource cannot send a token, so the page reads the stream itself.

/** Cuts a stream into events. A chunk may end anywhere, also inside a line end. */
export class EventLines {
  readonly #onData: (text: string) => void
  #rest = ''

  /** @param onData Gets the `data:` of each event; those of several lines are joined by line ends. */
  constructor(onData: (text: string) => void) {
    this.#onData = onData
  }

  take(chunk: string): void {
    const events = (this.#rest + chunk).split('\n\n')
    this.#rest = events.pop() ?? ''
    for (const event of events) {
      const data = event.split('\n').filter((line) => line.startsWith('data:'))
      if (data.length > 0) this.#onData(data.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n'))
    }
  }
}
