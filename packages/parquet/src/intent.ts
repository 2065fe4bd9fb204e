// The intent of a checkpoint: which staged file becomes which file of the archive. It is committed together with the positions, before
// anything is shown, so it is also the manifest: a file of ours is valid when a committed intent names it.
import { MillraceError } from '@millrace/core/connect'

const INTENT_VERSION = 1

export interface IntentFile {
  /** Name in the staging folder. */
  readonly staged: string
  /** Path relative to the archive. */
  readonly path: string
  readonly rowCount: number
  readonly size: number
}

export interface Intent {
  /** The archive, as it was set when the files were written: a later change of the setting must not lose what is on its way. */
  readonly dir: string
  /** The folder of the staged files. */
  readonly staging: string
  readonly checkpoint: number
  readonly files: readonly IntentFile[]
}

export function encodeIntent(intent: Intent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: INTENT_VERSION, ...intent }))
}

function isIntentFile(value: unknown): value is IntentFile {
  const file = value as IntentFile | null
  return typeof file === 'object' && file !== null && typeof file.staged === 'string' && typeof file.path === 'string'
}

/** @throws {MillraceError} `MR_PARQUET_INTENT` when the bytes are not an intent of a version that this code knows. */
export function decodeIntent(bytes: Uint8Array): Intent {
  try {
    const { version, dir, staging, checkpoint, files } = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>
    const known = version === INTENT_VERSION && typeof dir === 'string' && typeof staging === 'string' && typeof checkpoint === 'number'
    if (known && Array.isArray(files) && files.every(isIntentFile)) return { dir, staging, checkpoint, files }
  } catch (cause) {
    throw new MillraceError('MR_PARQUET_INTENT', { cause })
  }
  throw new MillraceError('MR_PARQUET_INTENT')
}
