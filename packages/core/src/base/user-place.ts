// Where in the user's own code something failed, as the stack of an error tells it.

const OWN_FOLDERS = /\/(?:packages\/(?:core|millrace|parquet)|node_modules\/millrace)\/(?:src|dist)\//

/**
 * The first frame of the user's own code in a stack: neither millrace's nor Node's. A library's only where nobody else stands below it, null
 * where there is none at all.
 */
export function userPlaceOf(error: unknown): string | null {
  let library: string | null = null
  for (const line of framesOf(error)) {
    const place = isOwn(line) ? null : placeIn(line)
    if (place !== null && !place.includes('/node_modules/')) return place
    library ??= place
  }
  return library
}

/** True when millrace's own code failed and nobody else's had called it. */
export function isOwnFailure(error: unknown): boolean {
  const frames = framesOf(error)
  return frames.length > 0 && frames.every(isOwn)
}

/** Frames but those of Node and of code made at run time. */
function framesOf(error: unknown): readonly string[] {
  const lines = stackOf(error)?.split('\n').slice(1) ?? []
  return lines.filter((line) => /^\s+at /.test(line) && !line.includes('node:') && !line.includes('eval at') && line.includes('/'))
}

/** User code can make anything of an error's stack, also what throws when it is looked at. */
function stackOf(error: unknown): string | null {
  try {
    const stack: unknown = error instanceof Error ? error.stack : null
    return typeof stack === 'string' ? stack : null
  } catch {
    return null
  }
}

function placeIn(line: string): string | null {
  const match = /\(?((?:file:\/\/)?\/[^()]+:\d+:\d+)\)?$/.exec(line.trim())
  return match === null ? null : (match[1] as string).replace('file://', '')
}

/** Frames of millrace itself, installed or from source; its tests and their support stand for users. */
function isOwn(line: string): boolean {
  if (/\.(?:test|fixture)\./.test(line)) return false
  return line.includes('/@millrace/') || OWN_FOLDERS.test(line)
}
