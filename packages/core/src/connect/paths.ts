// Paths of files that sinks write and sources follow. Text only, `/` between the steps.
import type { Disk } from '../base/disk.ts'

/** The folder of a file: `.` for a bare name, `/` for what lies in the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '.' : slash === 0 ? '/' : path.slice(0, slash)
}

/** A text that is safe in a file name. */
export function safeName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_.-]/g, '_')
}

/** Makes a folder and its parents, and makes those durable that were missing. */
export function makeFolderDurable(disk: Disk, path: string): void {
  const missing: string[] = []
  for (let at = path; at !== '.' && at !== '/' && !disk.exists(at); at = parentOf(at)) missing.push(at)
  disk.makeFolder(path)
  for (const folder of missing.reverse()) disk.syncFolder(parentOf(folder))
}
