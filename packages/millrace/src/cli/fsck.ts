// `millrace fsck`: checks every byte of a data folder that no server has open.
import { existsSync } from 'node:fs'
import { type FsckFinding, fsckFolder, isStateTopic, MillraceError } from '@millrace/core/engine'
import { logFolder } from '../server/defaults.ts'
import type { Command } from './context.ts'
import { bytesText } from './format.ts'

export const fsck: Command = {
  name: 'fsck',
  usage: '',
  summary: 'Checks the data folder: checkpoints, journal, every batch, every index. The server must not run.',
  options: [
    {
      name: 'repair',
      summary:
        'Cut a torn tail, rewrite broken indexes, and let readers pass damaged batches; not those of state, which `start --rebuild` builds again.',
    },
  ],
  examples: [
    { line: 'npx millrace fsck', does: 'only looks; exit code 1 when something is wrong' },
    { line: 'npx millrace fsck --data /var/lib/plant --repair', does: 'and mends what can be mended' },
  ],
  words: [0, 0],
  async run(context, { settings, options, json }) {
    const folder = logFolder(settings.data)
    if (!existsSync(folder))
      throw new MillraceError('MR_SETTINGS_INVALID', {
        message: 'there is no log in this data folder.',
        details: { place: '--data', folder: settings.data },
        fix: 'Name the folder that a plant has run with (`--data FOLDER`); by default it is `millrace-data` of this folder.',
      })
    const { disk, clock, scheduler } = context
    const isRepair = options['repair'] === true
    const report = await fsckFolder(disk, folder, { repair: isRepair, isKept: isStateTopic, clock, scheduler })
    if (json) {
      const findings = report.findings.map((finding) => ({ ...finding, fix: fixOf(finding) }))
      context.out(`${JSON.stringify({ ...report, findings })}\n`)
    } else {
      for (const { file, offset, what, message, topic, partition, from, to } of report.findings) {
        const where = topic === '' ? '' : ` ${topic}/${partition}${offsetsText(from, to)}`
        context.out(`${file}:${offset} ${what}:${where} ${message}\n`)
      }
      for (const fix of new Set(report.findings.filter((finding) => !isRepair || isLeft(finding)).map(fixOf)))
        context.out(`  fix: ${fix}\n`)
      context.out(
        `${report.segments} segments, ${report.batches} batches, ${bytesText(report.bytes)}: ${report.findings.length === 0 ? 'sound' : `${report.findings.length} findings, ${report.repaired} repaired`}\n`,
      )
    }
    return report.findings.length > report.repaired ? 1 : 0
  },
}

const REBUILD =
  'Start with `npx millrace start FILE --rebuild` where a task stays failed (`npx millrace status` says so): the damaged state is dropped and built again from the sources; topics and sinks get those rows again. `--repair` leaves it alone, because state without these bytes would be wrong.'
const REPAIR =
  'Run `npx millrace fsck --repair`: torn tails are cut, indexes rewritten, and readers go on behind damaged batches, whose records are lost to them.'
const BACKUP = 'Nothing can repair this: put the folder back from a backup, or begin with an empty one (`--data`).'

/** The records concerned, the last one included as people count; `to` is the one behind it. */
function offsetsText(from: number, to: number): string {
  if (from < 0) return ''
  return to - from > 1 ? ` offsets ${from} to ${to - 1}` : ` offset ${from}`
}

/** A batch that repair does not let readers pass. */
function isLeft({ what, topic }: FsckFinding): boolean {
  return (what === 'segment batch' || what === 'journal entry' || what === 'journal batch') && isStateTopic(topic)
}

/** What to type about a finding. */
function fixOf(finding: FsckFinding): string {
  if (isLeft(finding)) return REBUILD
  const isHopeless = finding.what === 'format' || (finding.what === 'checkpoint' && finding.message.includes('cannot be opened'))
  return isHopeless ? BACKUP : REPAIR
}
