// Lists the functions with the most time of their own in CPU profiles: node bench/support/profile.ts FILE.cpuprofile... [--top N]
// Profiles come from BENCH_CPU_PROF=folder npm run bench -- --only NAME.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { top: { type: 'string', default: '10' } } })
for (const file of positionals) {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'} ${path.basename(url)}:${lineNumber + 1}`,
    ]),
  )
  const selfUs = new Map<string, number>()
  let totalUs = 0
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '?'
    const us = profile.timeDeltas[index] ?? 0
    if (name.startsWith('(idle)')) continue
    selfUs.set(name, (selfUs.get(name) ?? 0) + us)
    totalUs += us
  }
  process.stdout.write(`${file}: ${(totalUs / 1e6).toFixed(2)} s\n`)
  for (const [name, us] of [...selfUs].toSorted((a, b) => b[1] - a[1]).slice(0, Number(values.top))) {
    process.stdout.write(`  ${((us / totalUs) * 100).toFixed(1).padStart(5)} %  ${name}\n`)
  }
}
