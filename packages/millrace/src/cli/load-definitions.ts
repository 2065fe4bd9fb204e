// Loads a user's file of pipelines and sources and says what is wrong with it at its place: file:line of their code, not of ours.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { PipelineDefinition } from '@millrace/core'
import { isMillraceError, MillraceError, nearestWord, OwnedPlaces, userPlaceOf } from '@millrace/core/engine'
import type { SourceDefinition } from '../source.ts'
import { createLogLines } from '../server/watch/log-lines.ts'
import type { CliContext } from './context.ts'
import { LOADING_MS, loadingText } from './loading-text.ts'

export interface LoadOptions {
  readonly json: boolean
  /** Called instead of a warning when loading takes long; the file may never be loaded. */
  readonly onSlow?: () => void
}

export interface Definitions {
  readonly pipelines: readonly PipelineDefinition[]
  readonly sources: readonly SourceDefinition[]
}

/**
 * What a file exports as default: a pipeline, or a list of pipelines and sources.
 * @throws {MillraceError} `MR_CLI_FILE` when it does not exist, does not load, or exports something else; `MR_PLAN_*` from the pipeline itself,
 * and when two of them cannot run beside each other.
 */
export async function loadDefinitions(file: string, context: CliContext, { json, onSlow }: LoadOptions): Promise<Definitions> {
  const { cwd, clock, scheduler, note } = context
  const path = resolve(cwd, file)
  if (!existsSync(path)) throw fileMissing(file, path)
  if (statSync(path).isDirectory() || !CODE.test(path)) throw noCode(file, path)
  let loaded: { readonly default?: unknown }
  const slow = scheduler.after(LOADING_MS, () => {
    if (onSlow === undefined) createLogLines({ clock, json, out: note }).write('warning', loadingText(file))
    else onSlow()
  })
  try {
    loaded = (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
  } catch (error) {
    if (isMillraceError(error)) throw placed(error)
    throw loadFailed(file, error)
  } finally {
    slow.cancel()
  }
  const exported = Array.isArray(loaded.default) ? (loaded.default as readonly unknown[]) : [loaded.default]
  const pipelines = exported.filter((value) => isOfKind<PipelineDefinition>(value, 'pipeline'))
  const sources = exported.filter((value) => isOfKind<SourceDefinition>(value, 'source-definition'))
  if (exported.length > 0 && pipelines.length + sources.length === exported.length) {
    requireNames('pipeline', pipelines)
    requireNames('source', sources)
    const places = new OwnedPlaces()
    for (const { plan } of pipelines) places.takeAll(plan)
    return { pipelines, sources }
  }
  // A file without `export` is no module for Node: its default is then what CommonJS exports, an empty object.
  const names = Object.keys(loaded).filter((name) => name !== 'default' && name !== 'module.exports')
  const found =
    loaded.default === undefined || isEmptyObject(loaded.default)
      ? `it exports ${names.join(', ') || 'nothing'}, and no default`
      : 'its default export is no pipeline'
  throw new MillraceError('MR_CLI_FILE', { message: `the file has no pipeline: ${found}.`, details: { file: path } })
}

/** A start refuses the second; whoever only looks at the file is told as well. */
function requireNames(kind: 'pipeline' | 'source', definitions: readonly { readonly name: string }[]): void {
  const names = definitions.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new MillraceError('MR_PLAN_NAME_TAKEN', { message: `two ${kind}s have the same name.`, details: { [kind]: twice } })
}

function isOfKind<T extends { readonly kind: string }>(value: unknown, kind: T['kind']): value is T {
  return typeof value === 'object' && value !== null && (value as { readonly kind?: unknown }).kind === kind
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

const CODE = /\.[cm]?[jt]s$/

/** A folder, or a file of something else. */
function noCode(file: string, path: string): MillraceError {
  const isFolder = statSync(path).isDirectory()
  const [first] = isFolder ? readdirSync(path).filter((name) => CODE.test(name)) : []
  return new MillraceError('MR_CLI_FILE', {
    message: `\`${file}\` is ${isFolder ? 'a folder' : 'no TypeScript or JavaScript file'}.`,
    details: { file: path },
    fix: `Name the file that exports the pipeline${first === undefined ? '' : `, for example \`${join(file, first)}\``}.`,
  })
}

function fileMissing(file: string, path: string): MillraceError {
  const folder = dirname(path)
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => CODE.test(name)) : []
  const near = nearestWord(basename(path), names)
  return new MillraceError('MR_CLI_FILE', {
    message: `there is no file \`${file}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { file: path },
    fix: 'Name a file that exports a pipeline, or make one with `npx millrace init`.',
  })
}

/** What millrace refused of code that ran while it loaded: where the user's code asked for it, unless the error says where. */
function placed(error: MillraceError): MillraceError {
  const { code, details, fix, message, stack } = error
  const place = details['place'] === undefined ? userPlaceOf(error) : null
  if (place === null) return error
  const known = new MillraceError(code, { details: { ...details, place }, fix, cause: error.cause })
  // The place has a line of its own, and the constructor would write the details behind the message a second time.
  known.message = message
  if (stack !== undefined) known.stack = stack
  return known
}

/** Code of the user that failed: the error's own words, with the first place that is theirs. */
function loadFailed(file: string, error: unknown): MillraceError {
  const place = placeOf(error)
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new MillraceError('MR_CLI_FILE', {
    message: `\`${file}\` does not load: ${text.split('\n')[0]}`,
    details: place === null ? {} : { place },
    fix: fixOf(error),
    cause: error,
  })
}

/** What Node says of an import that leads nowhere, for packages and for files. */
const NOT_FOUND = /^Cannot find (package|module) '([^']+)' imported from (.+)$/

function fixOf(error: unknown): string {
  const [, what, name = ''] = NOT_FOUND.exec(error instanceof Error ? error.message : '') ?? []
  if (what === 'package') return `Install it (\`npm install ${name}\`), or correct the import.`
  if (what === 'module') return 'Correct the path of the import; it ends with the extension, `.ts` for TypeScript.'
  return placeOf(error) === null ? 'Correct the file.' : 'Correct the file; the place says where.'
}

/** A syntax error has its place as the first line of the stack: `file:///path.ts:3`. */
const SYNTAX_PLACE = /^(?:file:\/\/)?(\/.*:\d+)$/

function placeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const importer = NOT_FOUND.exec(error.message)?.[3]
  if (importer !== undefined) return importer.startsWith('file:') ? fileURLToPath(importer) : importer
  return SYNTAX_PLACE.exec(error.stack?.split('\n')[0] ?? '')?.[1] ?? userPlaceOf(error)
}
