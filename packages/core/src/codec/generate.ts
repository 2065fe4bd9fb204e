// The one place where the codec turns source text into code. The text is made from a schema and from bytes that were compared as numbers;
// names of fields appear in it as JSON strings only. Every generator has an interpreter beside it, for where this is forbidden.

/** What the function body `source` returns when it runs with `argument` bound to `parameter`. */
export function generate<A>(parameter: string, argument: A, source: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- generated code is the point; see above for what goes into it
  const make = new Function(parameter, source) as (value: A) => unknown
  return make(argument)
}
