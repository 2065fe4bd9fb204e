// Text for terminals.

/** Columns under their heads, as wide as their widest cell. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] as number)))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let value = bytes
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] as string}`
}

export function timeText(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'end of time'
  if (ms === Number.NEGATIVE_INFINITY || ms < 0) return '-'
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

/** A value of a row in one cell. */
export function cellText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
}
