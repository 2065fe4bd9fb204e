// Counts in what people read. Programs get the digits alone, as JSON.

const FORMAT = new Intl.NumberFormat('en-US')

/** A whole number with a comma between thousands: `1,218,159`. */
export function countText(count: number): string {
  return FORMAT.format(count)
}
