// Windows over event time.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import { type Caller, placeOfCall } from '../base/place-of-call.ts'
import type { WindowSpec } from '../plan/node.ts'

const NAMES = ['sizeMs', 'graceMs', 'offsetMs']

function refuse(message: string): never {
  const place = placeOfCall(tumbling as Caller)
  throw new MillraceError('MR_PLAN_SETTING_INVALID', { message: `tumbling: ${message}`, details: place === null ? {} : { place } })
}

function check(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    refuse(`\`${name}\` must be a whole number of milliseconds${least < 0 ? '' : ` from ${least}`}, not \`${String(value)}\`.`)
}

function checkNames(options: object): void {
  for (const name of Object.keys(options)) {
    if (NAMES.includes(name)) continue
    const near = nearestWord(name, NAMES) ?? NAMES.find((known) => known.toLowerCase().startsWith(name.toLowerCase())) ?? null
    refuse(`there is no option \`${name}\`; ${near === null ? `there are ${NAMES.join(', ')}.` : `did you mean \`${near}\`?`}`)
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
  checkNames(options)
  const { sizeMs, graceMs = 0, offsetMs = 0 } = options
  check('sizeMs', sizeMs, 1)
  check('graceMs', graceMs, 0)
  check('offsetMs', offsetMs, Number.MIN_SAFE_INTEGER)
  return Object.freeze({ kind: 'tumbling', sizeMs, graceMs, offsetMs: ((offsetMs % sizeMs) + sizeMs) % sizeMs })
}
