// Values as people read them. Every time is UTC; the page says so once.

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const SHORT = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

/** `1,234,567`. */
export function formatWhole(value: number): string {
  return Number.isFinite(value) ? WHOLE.format(value) : '–'
}

const COUNT_STEPS: readonly (readonly [number, string])[] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

/** Three significant digits: `842`, `12.3 k`, `1.2 M`. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  for (const [step, unit] of COUNT_STEPS) {
    // 999,500 would round to `1000 k`.
    if (size >= step * 0.9995) return `${threeDigits(value / step)} ${unit}`
  }
  return size < 10 && !Number.isInteger(value) ? SHORT.format(value) : WHOLE.format(value)
}

function threeDigits(value: number): string {
  return Math.abs(value) >= 99.95 ? WHOLE.format(value) : value.toFixed(1)
}

/** Records per second: `12.3 k/s`. */
export function formatRate(perSecond: number): string {
  return `${formatCount(perSecond)}/s`
}

const BYTE_STEPS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–'
  let value = bytes
  let step = 0
  while (Math.abs(value) >= 1023.5 && step < BYTE_STEPS.length - 1) {
    value /= 1024
    step++
  }
  return `${step === 0 ? WHOLE.format(value) : threeDigits(value)} ${BYTE_STEPS[step]}`
}

/** `0.4 ms`, `40 ms`, `3.2 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  const size = Math.max(0, ms)
  if (size < 1) return size === 0 ? '0 ms' : `${size.toFixed(1)} ms`
  if (size < 999.5) return `${Math.round(size)} ms`
  if (size < 9_950) return `${(size / 1000).toFixed(1)} s`
  const seconds = Math.round(size / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return pair(seconds, 60, 'min', 's')
  if (seconds < 86_400) return pair(Math.floor(seconds / 60), 60, 'h', 'min')
  return pair(Math.floor(seconds / 3600), 24, 'd', 'h')
}

function pair(amount: number, base: number, large: string, small: string): string {
  const rest = amount % base
  return `${Math.floor(amount / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}

/** `2001-01-03 14:05:00`; milliseconds only where they are not zero. Infinities, and null for what nobody knows, in words. */
export function formatTime(ms: number | null): string {
  if (ms === null) return 'not known'
  if (ms === Number.NEGATIVE_INFINITY) return 'not known yet'
  if (ms === Number.POSITIVE_INFINITY) return 'the end'
  if (!isDate(ms)) return String(ms)
  const text = new Date(ms).toISOString().replace('T', ' ').slice(0, -1)
  return text.endsWith('.000') ? text.slice(0, -4) : text
}

const DAY = new Intl.DateTimeFormat('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' })

/** Time of day on the day of `nowMs`, else day, hour and minute (`Jan 3 14:05`): as short as an edge of the picture needs. */
export function formatTimeShort(ms: number, nowMs: number): string {
  if (!isDate(ms)) return formatTime(ms)
  const text = new Date(ms).toISOString()
  return text.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10) ? text.slice(11, 19) : `${DAY.format(ms)} ${text.slice(11, 16)}`
}

/** To the second: for times of the wall clock, where nobody asks for more. */
export function formatSecond(ms: number): string {
  return Number.isFinite(ms) ? formatTime(Math.floor(ms / 1000) * 1000) : formatTime(ms)
}

/** Day alone: `2001-01-03`. */
export function formatDay(ms: number): string {
  return isDate(ms) ? new Date(ms).toISOString().slice(0, 10) : ''
}

/** Time of day: `14:05:09`. */
export function formatClock(ms: number): string {
  return isDate(ms) ? new Date(ms).toISOString().slice(11, 19) : formatTime(ms)
}

function isDate(ms: number): boolean {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15
}

/** `1 row`, `2 rows`. */
export function formatPlural(count: number, noun: string): string {
  return `${formatWhole(count)} ${noun}${count === 1 ? '' : 's'}`
}
