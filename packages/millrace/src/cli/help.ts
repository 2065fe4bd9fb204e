// Help texts, made from the commands themselves.
import { VERSION } from '../version.ts'
import type { Command, Option } from './context.ts'

const WIDTH_MIN = 26

export function programHelp(commands: readonly Command[]): string {
  const lines = commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary] as const)
  return `millrace ${VERSION}: collect, keep, process, ship and look at events.

${columns(lines)}
First steps:
  npx millrace init my-plant && cd my-plant && npm install
  npx millrace dev pipeline.ts

\`npx millrace COMMAND --help\` has flags and examples. Settings: flags, then environment (MILLRACE_*), then millrace.yaml.
`
}

export function commandHelp(command: Command, common: readonly Option[]): string {
  const { name, usage, summary, options, examples } = command
  return (
    `npx millrace ${name} ${usage}`.trimEnd() +
    `

${summary}

${options.length === 0 ? '' : `Flags:\n${columns(options.map(optionLine))}\n`}Common flags:
${columns(common.map(optionLine))}
Examples:
${columns(examples.map(({ line, does }) => [line, does] as const))}`
  )
}

function optionLine({ name, short, value, summary }: Option): readonly [string, string] {
  return [`${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`, summary]
}

function columns(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(WIDTH_MIN, ...lines.map(([left]) => left.length).filter((length) => length < 48))
  return lines
    .map(([left, right]) => (left.length > width ? `  ${left}\n  ${' '.repeat(width)}  ${right}\n` : `  ${left.padEnd(width)}  ${right}\n`))
    .join('')
}
