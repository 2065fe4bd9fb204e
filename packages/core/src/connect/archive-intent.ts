// The intent of a checkpoint of an archive: which staged file becomes which file of the archive. It is committed together with the positions, before
// anything is shown, so it is also the manifest: a file of ours is valid when a committed intent names it.
import { MillraceError } from '../base/errors.ts'

const INTENT_VERSION = 1

export interface ArchiveFile {
  /** Name in the staging folder. */
  readonly staged: string
  /** Path relative to the archive. */
  readonly path: string
  readonly rowCount: number
  readonly size: number
}

export interface ArchiveIntent {
  /** The archive, as it was set when the files were written: a later change of the setting must not lose what is on its way. */
  readonly dir: string
  /** The folder of the staged files. */
  readonly staging: string
  readonly checkpoint: number
  readonly files: readonly ArchiveFile[]
}

export function encodeArchiveIntent(intent: ArchiveIntent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: INTENT_VERSION, ...intent }))
}

function isArchiveFile(value: unknown): value is ArchiveFile {
  const file = value as ArchiveFile | null
  return typeof file === 'object' && file !== null && typeof file.staged === 'string' && typeof file.path === 'string'
}

/** @throws {MillraceError} `MR_SINK_INTENT` when the bytes are not an intent of a version that this code knows. */
export function decodeArchiveIntent(bytes: Uint8Array): ArchiveIntent {
  try {
    const { version, dir, staging, checkpoint, files } = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>
    const known = version === INTENT_VERSION && typeof dir === 'string' && typeof staging === 'string' && typeof checkpoint === 'number'
    if (known && Array.isArray(files) && files.every(isArchiveFile)) return { dir, staging, checkpoint, files }
  } catch (cause) {
    throw new MillraceError('MR_SINK_INTENT', { cause })
  }
  throw new MillraceError('MR_SINK_INTENT')
}
