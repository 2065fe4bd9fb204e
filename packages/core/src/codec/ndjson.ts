// NDJSON: one JSON document per line. Lines end in LF or CRLF; blank lines are no records; the last line may lack its end.
import { indexOfFeed, RecordSplitter, type RecordBoundary, type RecordSplitterOptions } from './record-splitter.ts'

const BOUNDARY: RecordBoundary = {
  multiline: false,
  find: (bytes, _start, searched, end) => indexOfFeed(bytes, searched, end),
  isBlank(bytes, start, end) {
    for (let at = start; at < end; at++) {
      const byte = bytes[at]
      if (byte !== 32 && byte !== 9 && byte !== 13) return false
    }
    return true
  },
}

/** Splits a stream of NDJSON into records. */
export function ndjsonSplitter(options: RecordSplitterOptions = {}): RecordSplitter {
  return new RecordSplitter(BOUNDARY, options)
}
