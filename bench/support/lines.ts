// Reads a file line by line the plain way: what the baselines do.
import { closeSync, openSync, readSync } from 'node:fs'

const CHUNK_BYTES = 1 << 20

/** Calls `each` with every line of the file, without its end. Lines must be shorter than 1 MiB. */
export function eachLine(file: string, each: (line: string) => void): void {
  const handle = openSync(file, 'r')
  const chunk = Buffer.alloc(CHUNK_BYTES)
  let kept = 0
  for (;;) {
    const size = readSync(handle, chunk, kept, CHUNK_BYTES - kept, null)
    if (size === 0) break
    const end = kept + size
    let at = 0
    for (let lineEnd = chunk.indexOf(10, at); lineEnd >= 0 && lineEnd < end; lineEnd = chunk.indexOf(10, at)) {
      each(chunk.toString('utf8', at, lineEnd))
      at = lineEnd + 1
    }
    chunk.copyWithin(0, at, end)
    kept = end - at
  }
  if (kept > 0) each(chunk.toString('utf8', 0, kept))
  closeSync(handle)
}
