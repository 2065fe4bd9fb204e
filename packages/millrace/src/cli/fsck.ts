// `millrace fsck`: checks every byte of a data folder that no server has open.
import { existsSync } from 'node:fs'
import { fsckFolder, MillraceError } from '@millrace/core/engine'
import { logFolder } from '../server/defaults.ts'
import type { Command } from './context.ts'
import { bytesText } from './format.ts'

export const fsck: Command = {
  name: 'fsck',
  usage: '',
  summary: 'Checks the data folder: checkpoints, journal, every batch, every index. The server must not run.',
  options: [{ name: 'repair', summary: 'Cut a torn tail, rewrite broken indexes, and let readers pass damaged batches.' }],
  examples: [
    { line: 'millrace fsck', does: 'only looks; exit code 1 when something is wrong' },
    { line: 'millrace fsck --data /var/lib/plant --repair', does: 'and mends what can be mended' },
  ],
  words: [0, 0],
  async run(context, { settings, options, json }) {
    const folder = logFolder(settings.data)
    if (!existsSync(folder))
      throw new MillraceError('MR_SETTINGS_INVALID', {
        message: 'there is no log in this data folder.',
        details: { place: '--data', folder: settings.data },
      })
    const { disk, clock, scheduler } = context
    const report = await fsckFolder(disk, folder, { repair: options['repair'] === true, clock, scheduler })
    if (json) context.out(`${JSON.stringify(report)}\n`)
    else {
      for (const { file, offset, what, message, topic, partition, from, to } of report.findings) {
        const where = topic === '' ? '' : ` ${topic}/${partition}${from < 0 ? '' : ` offsets ${from} to ${to}`}`
        context.out(`${file}:${offset} ${what}:${where} ${message}\n`)
      }
      context.out(
        `${report.segments} segments, ${report.batches} batches, ${bytesText(report.bytes)}: ${report.findings.length === 0 ? 'sound' : `${report.findings.length} findings, ${report.repaired} repaired`}\n`,
      )
    }
    return report.findings.length > report.repaired ? 1 : 0
  },
}
