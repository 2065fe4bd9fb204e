// server.json in the data folder: where the plant that owns the folder can be reached. Written when it listens, removed when it stops.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ServerFile {
  readonly pid: number
  readonly url: string
  readonly startedAtMs: number
  readonly version: string
}

const NAME = 'server.json'

/** Writes the file; a reader sees all of it or none. */
export function writeServerFile(folder: string, file: ServerFile): void {
  const path = join(folder, NAME)
  writeFileSync(`${path}.new`, `${JSON.stringify(file)}\n`)
  renameSync(`${path}.new`, path)
}

export function removeServerFile(folder: string): void {
  rmSync(join(folder, NAME), { force: true })
}

/** What the file says while the process that wrote it lives; null otherwise. */
export function readServerFile(folder: string): ServerFile | null {
  try {
    const file = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as ServerFile
    return isAlive(file.pid) ? file : null
  } catch {
    // No file, or a file that was cut off by a crash: nobody serves this folder.
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Not permitted means that it lives and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
