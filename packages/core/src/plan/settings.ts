// The defaults of a pipeline's settings and the ranges that are legal. docs/settings.md gives the reason for each.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import type { PipelineSettings } from './node.ts'

/** What a pipeline gets when its user sets nothing. */
export const DEFAULT_SETTINGS: PipelineSettings = Object.freeze({
  idleMs: 5_000,
  closeWhenIdle: 'rate',
  clockAheadMs: 86_400_000,
  clockConfirmations: 8,
  badShareMax: 0.5,
  badShareWindow: 10_000,
  tickBytesMax: 64 * 1024 * 1024,
  commitMsMax: 100,
  commitMsMin: 5,
  groups: null,
})

/** Smallest and largest legal value of each number, both included. */
const RANGES: Readonly<Record<Exclude<keyof PipelineSettings, 'closeWhenIdle'>, readonly [number, number]>> = {
  idleMs: [1, 86_400_000],
  clockAheadMs: [1, Number.MAX_SAFE_INTEGER],
  clockConfirmations: [1, 1_000],
  badShareMax: [0, 1],
  badShareWindow: [1, 10_000_000],
  tickBytesMax: [4_096, 1024 * 1024 * 1024],
  commitMsMax: [1, 60_000],
  commitMsMin: [1, 60_000],
  groups: [1, 1_024],
}

function refuse(message: string, pipeline: string): never {
  throw new MillraceError('MR_PLAN_SETTING_INVALID', { message, details: { pipeline } })
}

function checkNumber(name: keyof typeof RANGES, value: number | null, pipeline: string): void {
  if (value === null && name === 'groups') return
  const [least, most] = RANGES[name]
  const whole = name === 'badShareMax' || Number.isInteger(value)
  if (typeof value !== 'number' || !whole || value < least || value > most) {
    refuse(
      `setting \`${name}\` must be a ${name === 'badShareMax' ? '' : 'whole '}number from ${least} to ${most}, not \`${String(value)}\`.`,
      pipeline,
    )
  }
}

/**
 * The settings of a pipeline: `given` over the defaults, each checked.
 * @throws {MillraceError} `MR_PLAN_SETTING_INVALID` for an unknown setting (with the nearest known one) or a value out of range.
 */
export function resolveSettings(given: Partial<PipelineSettings>, pipeline: string): PipelineSettings {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(DEFAULT_SETTINGS, name)) continue
    const near = nearestWord(name, Object.keys(DEFAULT_SETTINGS))
    refuse(`there is no setting \`${name}\`${near === null ? '' : `; did you mean \`${near}\`?`}`, pipeline)
  }
  const settings = { ...DEFAULT_SETTINGS, ...given }
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) checkNumber(name, settings[name], pipeline)
  if (settings.closeWhenIdle !== 'rate' && settings.closeWhenIdle !== 'never')
    refuse("setting `closeWhenIdle` must be 'rate' or 'never'.", pipeline)
  if (settings.commitMsMin > settings.commitMsMax) refuse('setting `commitMsMin` must not be above `commitMsMax`.', pipeline)
  return Object.freeze(settings)
}
