// Texts from records and errors on a terminal: whoever may send an event must not be able to steer the terminal of whoever looks at it.

/** Control characters but for tab and line feed, with those of Unicode that turn the direction of what is written. */
const STEERING = /(?![\t\n])[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** The text with every character that would steer a terminal as `\u001b` says it; tabs and ends of lines stay. */
export function printable(text: string): string {
  return text.replaceAll(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
