// Writes docs/operators.md from the docstrings of the typed API: what stands at a declaration is what the page says. A house test fails while
// the two differ, or while something public has no docstring.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './programs.ts'

/** A declaration with its docstring. */
interface Documented {
  readonly name: string
  readonly signature: string
  readonly text: string
  readonly examples: readonly string[]
  readonly parameters: readonly string[]
  readonly errors: string
}

const INTRODUCTION = `# Operators

Everything that a pipeline is written with. The texts are the docstrings of \`packages/core/src\`, which an editor shows too; this page is
generated from them by \`npm run errors\`. Signatures leave out type parameters and the checks that turn misuse into a sentence. What is not
there yet is refused with \`MR_PLAN_NOT_YET\`.
`

const sourceOf = (file: string): string => readFileSync(path.join(root, 'packages/core/src', file), 'utf8')

/** End of the brackets that open at `from`. An arrow's head closes nothing. */
function closing(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const char = text.charAt(at)
    if ('([{<'.includes(char)) depth += 1
    else if (')]}'.includes(char) || (char === '>' && text[at - 1] !== '=')) depth -= 1
    if (depth === 0) return at
  }
  throw new Error(`brackets do not close: ${text.slice(from, from + 80)}`)
}

/** The declaration that begins at `from`, without its body. */
function signatureAt(text: string, from: number): string {
  for (let at = from; at < text.length; at++) {
    const char = text.charAt(at)
    const isBody = char === '{' && !/[:&|]\s*$/.test(text.slice(from, at))
    if (isBody || (char === '\n' && !/[:&|,(]\s*$/.test(text.slice(from, at)))) return text.slice(from, at)
    if ('([{<'.includes(char)) at = closing(text, at)
  }
  return text.slice(from)
}

const CHECKS = / & (?:NoInfer|Checked\w+|Sync|SameRow|Accepts|NeedsKey)</

/** A signature as it is read: on one line, without type parameters and checks. */
function readable(signature: string): string {
  let text = signature
    .replaceAll(/\s+/g, ' ')
    .replace(/^export (?:async )?function /, '')
    .trim()
  const generic = /^\w+</.exec(text)
  if (generic !== null) text = text.slice(0, generic[0].length - 1) + text.slice(closing(text, generic[0].length - 1) + 1)
  for (let match = CHECKS.exec(text); match !== null; match = CHECKS.exec(text)) {
    const open = match.index + match[0].length - 1
    text = text.slice(0, match.index) + text.slice(closing(text, open) + 1)
  }
  return text
    .replaceAll(/([(<]) /g, '$1')
    .replaceAll(/ >/g, '>')
    .replaceAll('= >', '=>')
    .replaceAll(/,? \)/g, ')')
    .replaceAll(/\((\w+)\[\]/g, '$1[]')
}

const BLOCK = /^( *)\/\*\*((?:(?!\*\/)[^])*)\*\/\n\1/gm

/** Every docstring of a text with what follows it. */
function documented(source: string, indent: string): Documented[] {
  return [...source.matchAll(BLOCK)]
    .filter(([, space]) => space === indent)
    .map((match) => {
      const from = match.index + match[0].length
      const signature = signatureAt(source, from)
      const body = (match[2] ?? '')
        .split('\n')
        .map((line) => line.replace(/^\s*\* ?/, ''))
        .join('\n')
        .trim()
      const [text = '', ...tags] = body.split(/^(?=@\w+)/m)
      const tag = (name: string): string[] =>
        tags.filter((each) => each.startsWith(`@${name}`)).map((each) => each.slice(name.length + 1).trim())
      return {
        name: /^(?:export )?(?:async )?(?:function |interface |const )?(?:readonly )?(\w+)/.exec(signature)?.[1] ?? '',
        signature: readable(signature),
        text: text.trim(),
        examples: tag('example'),
        parameters: tag('param'),
        errors: tag('throws')
          .map((each) => each.replace('{MillraceError} ', ''))
          .join(' '),
      }
    })
}

/** The text of a class or an interface, from its line to its closing brace. */
function bodyOf(source: string, declaration: string): string {
  const from = source.indexOf(declaration)
  if (from < 0) throw new Error(`there is no ${declaration}`)
  return source.slice(from, source.indexOf('\n}\n', from))
}

const FENCE = '`'.repeat(3)
const code = (text: string): string => `${FENCE}ts\n${text}\n${FENCE}`

function section({ name, signature, text, examples, parameters, errors }: Documented, prefix = ''): string {
  return [
    `### ${prefix}${name}`,
    code(signature),
    text,
    ...(parameters.length === 0 ? [] : [parameters.map((each) => `- ${each.replace(/^(\S+) /, '`$1`: ')}`).join('\n')]),
    ...(examples.length === 0 ? [] : [code(examples.join('\n'))]),
    ...(errors === '' ? [] : [`Throws ${errors}`]),
  ].join('\n\n')
}

/** The functions that a file exports. */
function functionsOf(file: string, names?: readonly string[]): Documented[] {
  return documented(sourceOf(file), '').filter(
    ({ name, signature }) =>
      signature.includes('(') && !/^(?:interface|type|const|class|export)\b/.test(signature) && (names?.includes(name) ?? true),
  )
}

/** The public methods of a class. */
function methodsOf(file: string, name: string): Documented[] {
  return documented(bodyOf(sourceOf(file), `export class ${name}<`), '  ').filter(
    ({ signature }) => /^[a-z]\w*\(/.test(signature) && !signature.startsWith('constructor'),
  )
}

function fieldsOf(file: string, declaration: string): string {
  const rows = documented(bodyOf(sourceOf(file), declaration), '  ').map(({ name, signature, text }) => {
    const type = signature.replace(/^(?:readonly )?\w+\??: /, '').replaceAll('|', String.raw`\|`)
    return `| \`${name}\` | \`${type}\` | ${text.replaceAll('\n', ' ').replaceAll('|', String.raw`\|`)} |`
  })
  return ['| option | type | what it does |', '|---|---|---|', ...rows].join('\n')
}

/** The methods of the values inside `expr`, one line each; a method that needs no sentence has none. */
function scalarsOf(declaration: string): string {
  const source = bodyOf(sourceOf('dsl/expression.ts'), declaration)
  const lines = [...source.matchAll(/^ {2}(?:\/\*\* (.*) \*\/\n {2})?([a-z]\w*)(?:<.*>)?\((.*?)\): .*$/gm)]
  return lines
    .map(([, text = '', name = '', given = '']) => {
      const names = [...given.matchAll(/(?:^|, )(?:\.\.\.)?(\w+):/g)].map((match) => match[1])
      return `- \`${name}(${names.join(', ')})\`${text === '' ? '' : `: ${text}`}`
    })
    .join('\n')
}

function schemaSection(): string {
  const source = sourceOf('codec/schema.ts')
  const [builder] = documented(source, '').filter(({ name }) => name === 't')
  const from = source.indexOf('export const t = ')
  const members = [...source.slice(from, source.indexOf('\n})\n', from)).matchAll(/^ {2}\/\*\* (.*) \*\/\n {2}(\w+)/gm)]
  const rows = members.map(([, text = '', name = '']) => `| \`t.${name}\` | ${text.replaceAll('|', String.raw`\|`)} |`)
  return [builder?.text ?? '', code(builder?.examples.join('\n') ?? ''), ['| type | what it is |', '|---|---|', ...rows].join('\n')].join(
    '\n\n',
  )
}

/** The text of docs/operators.md. */
export function operatorsDocument(): string {
  const parts = [
    INTRODUCTION.trim(),
    '## Pipelines, topics and tables',
    ...functionsOf('dsl/pipeline.ts', ['pipeline']).map((each) => section(each)),
    ...functionsOf('dsl/topic.ts', ['topic']).map((each) => section(each)),
    fieldsOf('dsl/topic.ts', 'export interface TopicOptions<'),
    ...functionsOf('dsl/topic.ts', ['fileTable']).map((each) => section(each)),
    fieldsOf('dsl/topic.ts', 'export interface FileTableOptions<'),
    ...documented(bodyOf(sourceOf('dsl/pipeline.ts'), 'export class Mill '), '  ')
      .filter(({ signature }) => /^[a-z]\w*\(/.test(signature))
      .map((each) => section(each, 'mill.')),
    '## Types of values',
    schemaSection(),
    '## Streams',
    'Every operator takes `name` in its options: the identity of its state and metrics. Keep it when code moves.',
    ...methodsOf('dsl/stream.ts', 'Stream').map((each) => section(each, 'stream.')),
    '## Groups, windows and aggregates',
    ...methodsOf('dsl/grouped.ts', 'GroupedStream').map((each) => section(each, 'grouped.')),
    ...functionsOf('dsl/window.ts', ['tumbling']).map((each) => section(each)),
    ...methodsOf('dsl/grouped.ts', 'WindowedStream').map((each) => section(each, 'windowed.')),
    fieldsOf('dsl/grouped.ts', 'export interface WindowedAggregateOptions<'),
    'Aggregates, by the name of their column. `where` takes only rows for which an expression is true.',
    ...functionsOf('dsl/aggregates.ts')
      .filter(({ examples }) => examples.length > 0)
      .map((each) => section(each)),
    '## Expressions',
    'Lambdas run per row; expressions are data that the engine turns into code for whole columns, several times faster.',
    ...functionsOf('dsl/expression.ts', ['expr', 'constant', 'when']).map((each) => section(each)),
    '### Every value',
    scalarsOf('export interface Scalar<'),
    '### Values with an order',
    scalarsOf('export interface OrderedScalar<'),
    '### Numbers and times',
    scalarsOf('export interface NumberScalar<'),
    '### Texts',
    scalarsOf('export interface TextScalar<'),
    '### True and false',
    scalarsOf('export interface BooleanScalar '),
  ]
  return `${parts.join('\n\n')}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(path.join(root, 'docs/operators.md'), operatorsDocument())
