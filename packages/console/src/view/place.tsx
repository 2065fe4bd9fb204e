import { shortPlace } from '../model/reasons.ts'

/** A place in the user's file; the whole path is in the tooltip. */
export function Place({ place }: { readonly place: string }): React.ReactNode {
  return <code title={place}>{shortPlace(place)}</code>
}
