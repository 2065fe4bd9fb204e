// Writes docs/settings.md, and the tables of docs/cli.md and docs/http.md between their markers, from the code's own tables. A house test
// fails while they differ. What stands outside the markers is written by hand, and its examples are run by docs/reference.test.ts.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { DEFAULT_SETTINGS, type PipelineSettings } from '../packages/core/src/index.ts'
import type { Command, Option } from '../packages/millrace/src/cli/context.ts'
import { COMMANDS, COMMON_OPTIONS, settingOptions } from '../packages/millrace/src/cli/main.ts'
import { environmentName, flagName, SETTINGS } from '../packages/millrace/src/cli/settings.ts'
import type { PlantContext } from '../packages/millrace/src/server/routes/context.ts'
import type { Route } from '../packages/millrace/src/server/http/router.ts'
import { deadLetterRoutes } from '../packages/millrace/src/server/routes/dead-letters.ts'
import { pipelineRoutes } from '../packages/millrace/src/server/routes/pipelines.ts'
import { statusRoutes } from '../packages/millrace/src/server/routes/status.ts'
import { tableRoutes } from '../packages/millrace/src/server/routes/tables.ts'
import { topicRoutes } from '../packages/millrace/src/server/routes/topics.ts'
import { root } from './programs.ts'
import { CONSTANTS } from './settings-table.ts'

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replaceAll('|', String.raw`\|`)
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')
}

/** Milliseconds and bytes in the largest unit that divides them; other values as they are. */
function valueText(name: string, value: unknown): string {
  if (typeof value !== 'number') return String(value)
  const lower = name.toLowerCase()
  const units: readonly (readonly [number, string])[] = lower.includes('bytes')
    ? [
        [1 << 30, 'GiB'],
        [1 << 20, 'MiB'],
        [1 << 10, 'KiB'],
      ]
    : /_MS$|Ms(?:Max|Min)?$/.test(name)
      ? [
          [86_400_000, 'd'],
          [3_600_000, 'h'],
          [60_000, 'min'],
          [1000, 's'],
        ]
      : []
  for (const [size, unit] of units) if (value >= size && value % size === 0) return `${value / size} ${unit}`
  return lower.includes('bytes') ? `${value} B` : units.length > 0 ? `${value} ms` : value.toLocaleString('en-US')
}

/** Why each default of a pipeline is what it is; a setting without a reason does not compile. */
const PIPELINE_REASONS: Readonly<Record<keyof PipelineSettings, readonly [summary: string, reason: string]>> = {
  idleMs: [
    'Silence of a source partition after which it no longer holds the watermark back.',
    'Longer than the pauses of a producer that sends every second or two, short enough that one device that is switched off delays results by seconds.',
  ],
  closeWhenIdle: [
    '`rate`: while all inputs are idle the watermark goes on as fast as the wall clock, and never past it. `never`: only data moves it.',
    'The last window of a day must close although nothing follows it.',
  ],
  clockAheadMs: [
    'A jump of event time further ahead than this is held back until other records confirm it.',
    'No producer that works is a day ahead, and a time zone mistake of 14 hours is not held back.',
  ],
  clockConfirmations: [
    'Records of the partition that must confirm such a jump.',
    'One wrong clock sends fewer in a row; a topic that really starts elsewhere has eight at once.',
  ],
  badShareMax: [
    'Share of bad records among the newest `badShareWindow` above which the task pauses.',
    'When half of everything fails it is the pipeline or the producer, not a bad record.',
  ],
  badShareWindow: ['Records over which that share is counted.', 'Large enough that a burst of bad records in good ones does not pause.'],
  tickBytesMax: [
    'Most bytes of one partition in one tick.',
    'What a task does between two commits; larger costs memory, smaller costs commits while it catches up.',
  ],
  commitMsMax: ['Time between two commits under load.', 'A sync per 100 ms is cheap, and nobody sees 100 ms on a dashboard.'],
  commitMsMin: ['Time between two commits when little happens.', 'An event is in its table a few milliseconds after it was sent.'],
  groups: [
    'Task groups; `null`: the smaller of the partitions and 16. Fixed when the pipeline is made.',
    'As many as there can be threads at work.',
  ],
}

interface Constant {
  readonly summary: string
  readonly reason: string
  readonly file: string
  readonly name: string
}

/** The value of a constant as it stands in its file: sums and products of numbers, nothing else. */
export function constantValue({ file, name }: Pick<Constant, 'file' | 'name'>): number {
  const text = readFileSync(path.join(root, file), 'utf8')
  const match = new RegExp(`const ${name} = ([0-9_*+<./() ]+)\\n`).exec(text)
  if (match === null) throw new Error(`${file} has no constant ${name} any more`)
  const expression = (match[1] as string).replaceAll('_', '')
  const shifted = /^(\d+) << (\d+)$/.exec(expression)
  if (shifted !== null) return Number(shifted[1]) * 2 ** Number(shifted[2])
  return expression.split('*').reduce((product, factor) => product * Number(factor), 1)
}

const INTRODUCTION = `# Settings

Every default, and why it is what it is. A server takes its settings from flags, then from the environment, then from \`millrace.yaml\` of the
folder (\`--config FILE\` names another), then from this table. A name that does not exist, or a value that makes no sense, is refused with its
place (flag, variable, or file with line and column), what was expected and the nearest name. This page is generated from the code by
\`npm run errors\`.

## A server
Sizes are written as \`256MiB\`, \`1GB\` or a number of bytes.
`

/** The text of docs/settings.md. */
export function settingsDocument(): string {
  const server = SETTINGS.map(({ name, default: fallback, summary, reason, isFlag }) => [
    `\`${name}\``,
    fallback === '' ? 'none' : `\`${fallback}\``,
    `${isFlag ? `\`--${flagName(name)}\`, ` : ''}\`${environmentName(name)}\``,
    summary,
    reason,
  ])
  const pipeline = (Object.keys(DEFAULT_SETTINGS) as (keyof PipelineSettings)[]).map((name) => [
    `\`${name}\``,
    valueText(name, DEFAULT_SETTINGS[name]),
    ...PIPELINE_REASONS[name],
  ])
  const fixed = CONSTANTS.map((constant) => [
    valueText(constant.name, constantValue(constant)),
    constant.summary,
    constant.reason,
    `\`${constant.name}\` in \`${constant.file.replace('packages/', '')}\``,
  ])
  return `${INTRODUCTION}
${table(['Setting', 'Default', 'Flag and variable', 'What it is', 'Why this default'], server)}

The token is no flag: other users of a machine can read command lines.

## A pipeline
The third argument of \`pipeline(name, build, settings)\`. Topics have theirs in \`topic(name, { disorderMs, retentionMs, … })\`, described at their
declaration; by default a topic has one partition, no allowed disorder, and keeps its records for ever, because nothing is lost that nobody asked
to lose. Sources and sinks: [connectors.md](connectors.md).

${table(['Setting', 'Default', 'What it is', 'Why this default'], pipeline)}

## What is fixed
Limits and times that nobody had to change so far; each is one constant.

${table(['Value', 'What it is', 'Why', 'Where'], fixed)}
`
}

function optionRow({ name, short, value, summary }: Option): readonly string[] {
  return [`\`${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}\``, summary]
}

function flagsText(command: Command): string {
  return command.options.length === 0 ? 'No flags of its own.' : table(['Flag', 'What it does'], command.options.map(optionRow))
}

function commonFlagsText(): string {
  const start = COMMANDS.find(({ name }) => name === 'start') as Command
  return table(['Flag', 'What it does'], [...COMMON_OPTIONS, ...settingOptions(start)].map(optionRow))
}

/** All routes of a server. */
export function allRoutes(): readonly Route[] {
  // Nothing is asked of the plant: only the descriptions are read.
  const context = {} as PlantContext
  const routes: Route[] = [topicRoutes, tableRoutes, deadLetterRoutes, pipelineRoutes].flatMap((make) => make(context))
  return [...routes, ...statusRoutes(context, () => routes)]
}

function routeText({ summary, parameters = [], refusals = [], access }: Route): string {
  const rows = parameters.map(({ name, in: place, default: fallback, summary: what }) => [
    `\`${name}\``,
    place,
    fallback === undefined ? '' : `\`${String(fallback)}\``,
    what,
  ])
  const may = { open: 'Needs no token.', read: '', change: 'Changes something: refused to pages of other origins.' }[access]
  const refused = refusals.length === 0 ? '' : `Also answers ${refusals.join(', ')}.`
  return [
    [summary, may, refused].filter((text) => text !== '').join(' '),
    ...(rows.length === 0 ? [] : [table(['Parameter', 'In', 'Default', 'What it does'], rows)]),
  ].join('\n\n')
}

/** A page with the text between `<!-- KIND NAME -->` and `<!-- end -->` replaced. */
function filled(page: string, sections: ReadonlyMap<string, string>): string {
  return page.replaceAll(/^<!-- (?!end)(.+) -->\n[^]*?^<!-- end -->$/gm, (_, name: string) => {
    const text = sections.get(name)
    if (text === undefined) throw new Error(`there is nothing called \`${name}\`; there are: ${[...sections.keys()].join(', ')}`)
    return `<!-- ${name} -->\n\n${text}\n\n<!-- end -->`
  })
}

/** docs/cli.md with the tables of the commands. */
export function cliDocument(page: string): string {
  return filled(
    page,
    new Map([['common flags', commonFlagsText()], ...COMMANDS.map((one) => [`flags of ${one.name}`, flagsText(one)] as const)]),
  )
}

/** docs/http.md with the tables of the routes. */
export function httpDocument(page: string): string {
  return filled(page, new Map(allRoutes().map((route) => [`${route.method} ${route.path}`, routeText(route)])))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = (name: string): string => path.join(root, 'docs', name)
  writeFileSync(file('settings.md'), settingsDocument())
  for (const [name, write] of [
    ['cli.md', cliDocument],
    ['http.md', httpDocument],
  ] as const)
    writeFileSync(file(name), write(readFileSync(file(name), 'utf8')))
}
