/** Families of nodes share a colour: what comes in, what keeps nothing, what keeps state, what goes out. */
export function familyOf(kind: string): 'input' | 'stateless' | 'stateful' | 'output' {
  if (kind === 'source' || kind === 'table-source' || kind === 'through') return 'input'
  if (kind.startsWith('to-')) return 'output'
  return kind === 'aggregate' || kind === 'dedupe' || kind === 'scan' || kind === 'stream-table-join' ? 'stateful' : 'stateless'
}

/** Line drawings on a grid of 16. */
const PATHS: Readonly<Record<string, string>> = {
  source: 'M2 8h8M7 5l3 3-3 3M13 3v10',
  'table-source': 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6',
  filter: 'M2 3.5h12L9.5 8.5v4l-3 1.5V8.5z',
  map: 'M2 5h5l2 6h5M11.5 8.5 14 11l-2.5 2.5',
  'flat-map': 'M2 8h4M6 8l4-4h4M6 8h8M6 8l4 4h4',
  project: 'M3 3v10M7 3v10M11 3v4M11 9.5h3M12.5 8v3',
  branch: 'M2 8h4l4-4h4M6 8l4 4h4',
  merge: 'M2 4h4l4 4h4M2 12h4l4-4',
  'key-by': 'M9.5 6.5a3 3 0 1 1-2-2.8M8.8 8.2 14 13.4M11.5 11l1.5-1.5',
  through: 'M2 8h3M11 8h3M5 4.5h6v7H5z',
  aggregate: 'M12.5 3.5h-9L8 8l-4.5 4.5h9',
  late: 'M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM8 5v3.2l2.2 1.6',
  dedupe: 'M3 3h7v7H3zM6 12.9h7V6M5 6.5h3',
  scan: 'M3 12.5 6 8l2.5 2.5L13 4M10 4h3v3',
  'stream-table-join': 'M6 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  'to-table': 'M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6.5 6.5v6',
  'to-topic': 'M2 5h9M2 8h9M2 11h9M11 5l3 3-3 3',
  'to-sink': 'M8 2v7M5 6l3 3 3-3M2.5 10v3.5h11V10',
}

const UNKNOWN = 'M8 3v10M3 8h10'

export function NodeIcon({ kind }: { readonly kind: string }): React.ReactNode {
  return (
    <svg className="node-icon" data-family={familyOf(kind)} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[kind] ?? UNKNOWN} />
    </svg>
  )
}
