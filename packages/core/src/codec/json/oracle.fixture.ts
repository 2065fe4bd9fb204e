// What decoding must give, said by the slow obvious way: JSON.parse over a fatal UTF-8 decoder, then schema coercion.
import { coerceRow, type Problem } from '../coerce.ts'
import type { Field } from '../column.ts'
import { ROW_BAD, ROW_NULL, ROW_OK } from '../decoded-columns.ts'
import { ExactNumber, parseExact } from './exact.ts'
import { JSON_DEPTH_MAX } from './scan.ts'

export interface Expected {
  readonly status: number
  readonly row: Record<string, unknown>
  readonly codes: readonly string[]
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

/** The row of a document, or the codes with which it may be refused. */
export function oracle(document: Uint8Array | null, fields: readonly Field[]): Expected {
  if (document === null) return { status: ROW_NULL, row: {}, codes: [] }
  let value: unknown
  try {
    value = parseExact(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(document))
  } catch {
    return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_JSON_INVALID', 'MR_CODEC_UTF8_INVALID'] }
  }
  if (depthOf(value) > JSON_DEPTH_MAX) return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_JSON_INVALID'] }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber)
    return { status: ROW_BAD, row: {}, codes: ['MR_CODEC_FIELD_TYPE'] }
  const problems: Problem[] = []
  const row = coerceRow(fields, value as Record<string, unknown>, [], problems)
  return { status: problems.length > 0 ? ROW_BAD : ROW_OK, row, codes: problems.map((problem) => problem.code) }
}
