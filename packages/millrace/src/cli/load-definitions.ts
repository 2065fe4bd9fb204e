// Loads a user's file of pipelines and sources and says what is wrong with it at its place: file:line of their code, not of ours.
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PipelineDefinition } from '@millrace/core'
import { isMillraceError, MillraceError, nearestWord } from '@millrace/core/engine'
import type { SourceDefinition } from '../source.ts'

export interface Definitions {
  readonly pipelines: readonly PipelineDefinition[]
  readonly sources: readonly SourceDefinition[]
}

/**
 * What a file exports as default: a pipeline, or a list of pipelines and sources.
 * @throws {MillraceError} `MR_CLI_FILE` when it does not exist, does not load, or exports something else; `MR_PLAN_*` from the pipeline itself.
 */
export async function loadDefinitions(file: string, cwd: string): Promise<Definitions> {
  const path = resolve(cwd, file)
  if (!existsSync(path)) throw fileMissing(file, path)
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
  } catch (error) {
    if (isMillraceError(error)) throw error
    throw loadFailed(file, error)
  }
  const exported = Array.isArray(loaded.default) ? (loaded.default as readonly unknown[]) : [loaded.default]
  const pipelines = exported.filter((value) => isOfKind<PipelineDefinition>(value, 'pipeline'))
  const sources = exported.filter((value) => isOfKind<SourceDefinition>(value, 'source-definition'))
  if (exported.length > 0 && pipelines.length + sources.length === exported.length) return { pipelines, sources }
  const found =
    loaded.default === undefined
      ? `it exports ${Object.keys(loaded).join(', ') || 'nothing'}, and no default`
      : 'its default export is no pipeline'
  throw new MillraceError('MR_CLI_FILE', { message: `the file has no pipeline: ${found}.`, details: { file: path } })
}

function isOfKind<T extends { readonly kind: string }>(value: unknown, kind: T['kind']): value is T {
  return typeof value === 'object' && value !== null && (value as { readonly kind?: unknown }).kind === kind
}

function fileMissing(file: string, path: string): MillraceError {
  const folder = dirname(path)
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /\.[cm]?[jt]s$/.test(name)) : []
  const near = nearestWord(basename(path), names)
  return new MillraceError('MR_CLI_FILE', {
    message: `there is no file \`${file}\`${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { file: path },
    fix: 'Name a file that exports a pipeline, or make one with `millrace init`.',
  })
}

/** Code of the user that failed: the error's own words, with the first place that is theirs. */
function loadFailed(file: string, error: unknown): MillraceError {
  const place = placeOf(error)
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new MillraceError('MR_CLI_FILE', {
    message: `\`${file}\` does not load: ${text.split('\n')[0]}`,
    details: place === null ? {} : { place },
    fix: 'Correct the file; the place says where.',
    cause: error,
  })
}

const FRAME = /(?:file:\/\/)?(\/[^():\n]+):(\d+)(?::(\d+))?/

function placeOf(error: unknown): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  // A syntax error has its place as the first line of the stack: `file:///path.ts:3`.
  for (const line of stack.split('\n')) {
    const match = FRAME.exec(line)
    if (
      match === null ||
      line.includes('/node_modules/') ||
      line.includes('node:internal') ||
      (match[1] as string).includes('/packages/millrace/')
    )
      continue
    return `${match[1]}:${match[2]}${match[3] === undefined ? '' : `:${match[3]}`}`
  }
  return null
}
