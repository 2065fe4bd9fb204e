// Writes docs/connectors.md from the specs of the connectors. A house test fails while the two differ.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  type ConnectorSpec,
  FILE_SOURCE_SPEC,
  NDJSON_FILE_SPEC,
  NDJSON_SPEC,
  type SettingField,
} from '../packages/core/src/connect/index.ts'
import { PARQUET_SPEC } from '../packages/parquet/src/index.ts'
import { root } from './programs.ts'

interface Section {
  readonly spec: ConnectorSpec
  readonly from: string
  readonly text: string
}

const INTRODUCTION = `# Connectors

What brings events in (sources) and what ships rows out (sinks). Sizes and times may be written as text (\`64 MiB\`, \`5 min\`). A setting that is unknown,
missing or out of range is refused with the nearest one that exists (\`MR_CONNECTOR_SETTING\`). How to write a connector of your own: the
contracts are \`packages/core/src/connect/source.ts\` and \`sink.ts\`; a sink is held to them by \`sinkConformance\` of \`@millrace/core/testing\`. This page is generated from the specs of the connectors by \`npm run errors\`.
`

const SOURCES = `# Sources

A source fills one topic. Its records and the position behind them are one commit by a fenced writer, so each record is in the log exactly
once, whatever crashes, and of two processes with the same source the older one stops (\`MR_LOG_FENCED\`). The position belongs to the name of
the source and stands on the topic \`__source.NAME.position\`: under another name it starts over. When the log is full the source waits; when it
cannot read it tries again, at most every 5 seconds, and its status says why.

A source is exported beside the pipelines of a file, and runs with them under \`npx millrace dev\` and \`start\`; any number of pipelines read its topic:

\`\`\`ts
import { fileSource } from '@millrace/core/connect'
import { count, pipeline, source, t, topic } from 'millrace'

const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })

export default [
  source('access-log', hits, fileSource({ path: '/var/log/hits.ndjson', tail: true })),
  pipeline('web', (mill) => {
    mill.from(hits).groupBy('url').aggregate({ hits: count() }, { name: 'per-url' }).toTable('per_url')
  }),
]
\`\`\`

A program gives the same to \`startPlant({ folder, sources: [source(...)], pipelines: [...] })\`. Why it is so: [adr/0010](adr/0010-sources-beside-pipelines.md).
`

const SINKS = `# Sinks

The outage of a sink stops nothing else: what shares its stream with other outputs or with state has a task of its own. It is tried again with pauses while rows wait in the log. Rows become
visible at checkpoints: everything is written and synced out of sight, the log commits the position together with the intent, and only then is
it shown; after a crash the newest intent is shown again before anything else. So each row is there exactly once. A row that a sink cannot take
goes to the dead letters, alone. All of these take new rows only: a stream with updates is refused when the plan is made.
`

const FILE_SOURCE = `**Lines.** NDJSON lines are appended byte for byte; blank lines are no records, and lines end in LF or CRLF. CSV is read as RFC 4180 says,
with a header; each record becomes a JSON object with the fields of the topic (or, where the topic has no schema of its own, all columns as
text, empty ones as null). The decoder of the topic checks the rest when a pipeline reads them.

**What cannot be a record** is appended too, with the header \`millrace.error\` and the code, and so goes to the dead letters of the pipeline that
reads it: a record of CSV that does not fit as the bytes of its line, a line beyond \`recordBytesMax\` as its first 4 KiB and a sentence. A record of
CSV beyond the limit ends at the next line end, also inside quotes.

**Order.** Lines of one file with the same key stay in order; lines without key of one read (about 1 MiB) stay together in one partition.

**Following.** The open file is read to its end under whatever name. It is known again by device and inode and by a checksum of its first KiB,
also after a restart, where its directory is searched for names that begin with its own (\`app.log.1\`, \`app.log-20260101\`; compressed ones are
not read). When another file has the name and the old one has not grown for \`rotateWaitMs\`, the files in between are read, the oldest first, and
then the new one. The last line of a file waits for its line end as long as the file is followed.

**Truncation** (logrotate's \`copytruncate\`) is seen when the file is shorter than what was read, or begins otherwise; it is then read from its
beginning, and a notice says so. Lines that were written between the last look and the truncation are lost to every reader of the file:
rename is the better way to rotate. A truncation is not seen when the file has, at the next look, grown beyond the old length with the same
first KiB. A file whose end was lost in a power cut is read on where it ends now, when it was larger than a KiB; a smaller one is read again.
`

const SECTIONS: { readonly sources: readonly Section[]; readonly sinks: readonly Section[] } = {
  sources: [{ spec: FILE_SOURCE_SPEC, from: '@millrace/core/connect', text: FILE_SOURCE }],
  sinks: [
    {
      spec: NDJSON_FILE_SPEC,
      from: '@millrace/core/connect',
      text: `What a topic declares is what is shipped: members of a record that its schema does not name are not read, and times are written as milliseconds
unless \`times: 'iso'\` says otherwise. To ship records whole, as they came, declare the topic with \`t.json()\` as its value: rows are then the
parsed records, which lambdas can filter and change.

\`\`\`ts
const logs = topic('logs', { value: t.json() })
mill.from(logs).filter((record) => (record as { level?: string }).level !== 'debug').to(ndjsonFile({ path: 'out/logs.ndjson' }))
\`\`\`

Guarantee: transactional. Rows are written to \`<path>.part-e<epoch>-c<checkpoint>\` beside the file and copied behind its end when they are
committed; the part is then the hidden file \`.<name>.spare\`, which the next part is written over, until the sink closes. Nothing uncommitted is
ever in the file. A reader that polls may see a prefix of what is being copied, as in any file that grows; after a power cut in that moment its
end may be damaged until the next start, which writes the same bytes again.

Two sinks with one file, in one pipeline or in two of one plant, are refused before anything runs (\`MR_PLAN_PLACE_TAKEN\`): bring their rows
together with \`merge\`, or give each a file. Sinks that write folders of files (\`ndjson\`, \`parquet\`) may share one.

When the folder of a file sink is removed while it runs, the sink says so (\`MR_SINK_FOLDER_GONE\`), makes the folder again after a pause that
grows from 0.1 to 5 seconds, and writes what came since its last checkpoint. Rows that were committed before, in files or on their way there,
went with the folder. The same is true of \`ndjson\` and \`parquet\`.
`,
    },
    {
      spec: NDJSON_SPEC,
      from: '@millrace/core/connect',
      text: `Guarantee: transactional. Files are immutable and whole when they are visible; they are named and partitioned as those of \`parquet\`. A field that
names a folder is not in the lines. Every field is written, null where a row has none.
`,
    },
    {
      spec: PARQUET_SPEC,
      from: '@millrace/parquet',
      text: `Guarantee: transactional. Files are immutable and whole when they are visible: \`dir/<folders>/<pipeline>-<sink>-<group>-<time>-<checkpoint>-<number>.parquet\`.
Memory is bounded by \`budgetBytes\`, not by the number of folders. What is in the files: [formats/parquet.md](formats/parquet.md).
`,
    },
  ],
}

function defaultText({ default: value, type }: SettingField): string {
  if (value === null) return ''
  if (type === 'bytes' && typeof value === 'number' && value % 1_048_576 === 0) return `${value / 1_048_576} MiB`
  if (type === 'duration' && typeof value === 'number')
    return value % 60_000 === 0 ? `${value / 60_000} min` : value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ')
  return `\`${String(value)}\``
}

function settingRow(field: SettingField): string {
  const type = field.choices === undefined ? field.type : field.choices.map((choice) => `\`${choice}\``).join(' or ')
  const unit = field.unit === null || field.type === 'bytes' || field.type === 'duration' ? '' : `, ${field.unit}`
  return `| \`${field.name}\` | ${type}${unit} | ${field.required === true ? 'needed' : defaultText(field)} | ${field.advice} |`
}

function sectionText({ spec, from, text }: Section): string {
  const [name = spec.type] = /\w+/.exec(spec.example) ?? []
  const table = ['| setting | type | default | what it does |', '|---|---|---|---|', ...spec.fields.map(settingRow)].join('\n')
  return `## ${spec.type}\n\n${spec.summary}\n\n\`\`\`ts\nimport { ${name} } from '${from}'\n\n${spec.example}\n\`\`\`\n\n${text}\n${table}\n`
}

/** The text of docs/connectors.md. */
export function connectorsDocument(): string {
  const { sources, sinks } = SECTIONS
  return [INTRODUCTION, SOURCES, ...sources.map(sectionText), SINKS, ...sinks.map(sectionText)].join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  writeFileSync(path.join(root, 'docs/connectors.md'), connectorsDocument())
