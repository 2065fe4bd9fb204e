// Windows over event time.
import { MillraceError } from '../base/errors.ts'
import type { WindowSpec } from '../plan/node.ts'

function check(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new MillraceError('MR_PLAN_SETTING_INVALID', {
      message: `tumbling: \`${name}\` must be a whole number of milliseconds from ${least}, not \`${String(value)}\`.`,
    })
  }
}

/**
 * Windows of one length that follow each other without gap or overlap: `[start, start + sizeMs)` of event time, aligned to 1970-01-01 UTC.
 * A window closes when the watermark passes its end by `graceMs`; a record for it after that is late.
 *
 * @param options.sizeMs Length, milliseconds.
 * @param options.graceMs Milliseconds, default 0. Higher: fewer late records, more memory, final results later.
 * @param options.offsetMs Shifts every start, default 0: `-2 * 3_600_000` with windows of a day is days at UTC+2.
 * @example
 * hits.groupBy('url').window(tumbling({ sizeMs: 60_000, graceMs: 5_000 })).aggregate({ hits: count() })
 * @throws {MillraceError} `MR_PLAN_SETTING_INVALID`.
 */
export function tumbling(options: { readonly sizeMs: number; readonly graceMs?: number; readonly offsetMs?: number }): WindowSpec {
  const { sizeMs, graceMs = 0, offsetMs = 0 } = options
  check('sizeMs', sizeMs, 1)
  check('graceMs', graceMs, 0)
  check('offsetMs', offsetMs, Number.MIN_SAFE_INTEGER)
  return Object.freeze({ kind: 'tumbling', sizeMs, graceMs, offsetMs: ((offsetMs % sizeMs) + sizeMs) % sizeMs })
}
