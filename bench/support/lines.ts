// Reads a file line by line the plain way: what the baselines do.
import { closeSync, openSync, readSync } from 'node:fs'

const CHUNK_BYTES = 1 << 20

/** Calls `each` with every line of the file, without its end. */
export function eachLine(file: string, each: (line: string) => void): void {
  const handle = openSync(file, 'r')
  const chunk = Buffer.alloc(CHUNK_BYTES)
  let kept = 0
  for (;;) {
    const size = readSync(handle, chunk, kept, CHUNK_BYTES - kept, null)
    if (size === 0) break
    const end = kept + size
    const last = chunk.lastIndexOf(10, end - 1)
    if (last >= 0) for (const line of chunk.toString('utf8', 0, last).split('\n')) each(line)
    chunk.copyWithin(0, last + 1, end)
    kept = end - last - 1
  }
  if (kept > 0) each(chunk.toString('utf8', 0, kept))
  closeSync(handle)
}
