// Times as text: ISO-8601 and RFC 3339 forms in, ISO-8601 UTC out. Stricter than Date.parse and without its local-time rule: a text
// without an offset is UTC, so that a pipeline gives the same result on every machine.
//   YYYY-MM-DD [ (T|t|space) HH:MM [ :SS [ (.|,) digits 1-9 ] ] [ Z | z | ±HH | ±HHMM | ±HH:MM ] ]

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const MS_PER_DAY = 86_400_000

/** Days from 1970-01-01 to the date in the proleptic Gregorian calendar, or NaN when there is no such day. Months count from 1. */
export function daysOfDate(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1) return NaN
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  if (day > (DAYS_IN_MONTH[month - 1] as number) + (leap && month === 2 ? 1 : 0)) return NaN
  const before = year - 1
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
  return year * 365 + leapDays + (DAYS_BEFORE_MONTH[month - 1] as number) + (leap && month > 2 ? 1 : 0) + day - 1 - 719_527
}

/** Two digits at `at`, or a negative number. */
function two(data: Uint8Array, at: number): number {
  const tens = (data[at] as number) - 48
  const ones = (data[at + 1] as number) - 48
  return tens >>> 0 < 10 && ones >>> 0 < 10 ? tens * 10 + ones : -1_000_000
}

/** Milliseconds of the time text data[start .. end), or NaN. */
export function parseTimeBytes(data: Uint8Array, start: number, end: number): number {
  if (end - start < 10 || data[start + 4] !== 45 || data[start + 7] !== 45) return NaN
  const year = two(data, start) * 100 + two(data, start + 2)
  const days = year < 0 ? NaN : daysOfDate(year, two(data, start + 5), two(data, start + 8))
  const at = start + 10
  if (at === end) return days * MS_PER_DAY
  const separator = data[at] as number
  if (end - at < 6 || (separator !== 84 && separator !== 116 && separator !== 32) || data[at + 3] !== 58) return NaN
  const hour = two(data, at + 1)
  const minute = two(data, at + 4)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return NaN
  return days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + secondsAndOffset(data, at + 6, end)
}

/** Milliseconds of `[:SS[.digits]][offset]`, or NaN. */
function secondsAndOffset(data: Uint8Array, start: number, end: number): number {
  let at = start
  let ms = 0
  if (at < end && data[at] === 58) {
    if (end - at < 3) return NaN
    const second = two(data, at + 1)
    if (second < 0 || second > 59) return NaN
    ms = second * 1000
    at += 3
    if (at < end && (data[at] === 46 || data[at] === 44)) {
      const first = at + 1
      let place = 100
      for (at = first; at < end && ((data[at] as number) - 48) >>> 0 < 10; at++) {
        if (place >= 1) ms += ((data[at] as number) - 48) * place
        place = place === 1 ? 0 : place / 10
      }
      if (at === first || at - first > 9) return NaN
    }
  }
  if (at === end) return ms
  const sign = data[at] as number
  if (sign === 90 || sign === 122) return at + 1 === end ? ms : NaN
  if (sign !== 43 && sign !== 45) return NaN
  const length = end - at
  const colon = length === 6 && data[at + 3] === 58
  if (length !== 3 && length !== 5 && !colon) return NaN
  const hours = two(data, at + 1)
  const minutes = length === 3 ? 0 : two(data, at + (colon ? 4 : 3))
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NaN
  const offset = hours * 3_600_000 + minutes * 60_000
  return sign === 43 ? ms - offset : ms + offset
}

const scratch = new Uint8Array(48)

/** Milliseconds of a time text, or NaN. */
export function parseTime(text: string): number {
  if (text.length > scratch.length) return NaN
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 127) return NaN
    scratch[index] = code
  }
  return parseTimeBytes(scratch, 0, text.length)
}
