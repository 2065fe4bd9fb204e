// The place of an error has a line of its own, so its message need not repeat it.

/** A message without the detail `place`. */
export function withoutPlace(message: string): string {
  return message.replace(/(,?) *place=`[^`]*`(, )?/, (_, before: string, after: string | undefined) =>
    after === undefined ? '' : before === '' ? ' ' : ', ',
  )
}
