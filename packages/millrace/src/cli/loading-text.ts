// What is said of a file of the user that does not come to the end of loading: by the process that loads it, or by the one that waits for that.

/** Milliseconds, far above what loading takes: an `await` at the top of a file may never end. */
export const LOADING_MS = 3000

export function loadingText(file: string): string {
  return `\`${file}\` is still loading: an \`await\` at the top of it, or of a module that it imports, has not ended`
}
