// About how much memory a JavaScript value takes, for limits: texts and bytes by their length, everything else by the number of its values.
// What is reached twice counts twice, as it would when it is written.

const VALUE_BYTES = 8

/** Bytes of a value, at most a little above `bytesMax`: from there on nobody needs to know. A getter that throws counts as one value. */
export function valueBytes(value: unknown, bytesMax: number): number {
  if (typeof value === 'string') return VALUE_BYTES + value.length
  if (typeof value !== 'object' || value === null) return VALUE_BYTES
  const left: unknown[] = [value]
  let bytes = 0
  while (left.length > 0 && bytes <= bytesMax) bytes += oneLevel(left.pop(), left, bytesMax - bytes)
  return bytes
}

/** The value itself, and the texts in it; objects in it are left to do. */
function oneLevel(value: unknown, left: unknown[], bytesMax: number): number {
  if (ArrayBuffer.isView(value)) return VALUE_BYTES + value.byteLength
  let bytes = VALUE_BYTES
  try {
    const parts: Iterable<unknown> = Array.isArray(value) ? value : Object.values(value as object)
    for (const part of parts) {
      bytes += typeof part === 'string' ? VALUE_BYTES + part.length : VALUE_BYTES
      if (typeof part === 'object' && part !== null) left.push(part)
      if (bytes > bytesMax) break
    }
  } catch {
    // Whoever reads the value next finds out, and says whose fault it is.
  }
  return bytes
}
