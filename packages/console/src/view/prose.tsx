/** A sentence of the plant, with what stands between backticks set as code. */
export function Prose({ text }: { readonly text: string }): React.ReactNode {
  // Every second piece was between two backticks; a piece has no identity but its place.
  return text.split('`').map((piece, index) => (index % 2 === 1 ? <code key={`${index} ${piece}`}>{piece}</code> : piece))
}
