// The version in the footer of every file; a test keeps it equal to package.json.

export const VERSION = '0.1.0'

/** In the form that readers parse to know about bugs of writers: "<application> version <version>". */
export const CREATED_BY = `millrace version ${VERSION}`
