// A real scrape, read by the rules of the text format: each family once, with HELP and TYPE ahead of its samples, values that are numbers,
// labels that are escaped; and everything that an operator needs is there.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { count, pipeline, t, topic, tumbling } from '@millrace/core'
import { fileSource } from '@millrace/core/connect'
import { source } from '../../source.ts'
import { metricsText } from './metrics.ts'
import { eventually, PlantUnderTest, temporaryFolder } from '../plant.fixture.ts'

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Family {
  readonly help: string
  readonly type: string
  readonly samples: Sample[]
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/y

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  for (let at = 0; at < text.length;) {
    LABEL.lastIndex = at
    const match = LABEL.exec(text)
    assert.ok(match !== null, `labels: ${text}`)
    labels[match[1] as string] = (match[2] as string).replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
    at = LABEL.lastIndex
    if (at < text.length) assert.equal(text[at++], ',')
  }
  return labels
}

function parse(text: string): ReadonlyMap<string, Family> {
  assert.ok(text.endsWith('\n'))
  const families = new Map<string, Family>()
  const lines = text.trimEnd().split('\n')
  let name = ''
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as string
    const help = /^# HELP (\w+) (.+)$/.exec(line)
    if (help !== null) {
      name = help[1] as string
      const type = /^# TYPE (\w+) (counter|gauge)$/.exec(lines[++at] as string)
      assert.equal(type?.[1], name)
      assert.ok(!families.has(name), `${name} twice`)
      assert.equal(name.endsWith('_total'), type?.[2] === 'counter', name)
      families.set(name, { help: help[2] as string, type: type?.[2] as string, samples: [] })
      continue
    }
    const sample = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)
    assert.equal(sample?.[1], name, line)
    const number = sample?.[3] as string
    assert.ok(/^[+-]Inf$/.test(number) || Number.isFinite(Number(number)), line)
    families.get(name)?.samples.push({ labels: labelsOf(sample?.[2] ?? ''), value: Number(number.replace('Inf', 'Infinity')) })
  }
  return families
}

test('a scrape has every figure that an operator needs, in the text format', async () => {
  const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
  const web = pipeline(
    'web',
    (mill) => {
      mill
        .from(hits)
        .groupBy('url')
        .window(tumbling({ sizeMs: 60_000 }))
        .aggregate({ hits: count() }, { name: 'per-minute' })
        .toTable('per_minute')
    },
    { idleMs: 50 },
  )
  const file = path.join(temporaryFolder(), 'hits.ndjson')
  writeFileSync(file, '{"at":1767225600000,"url":"/a"}\n{"at":1767225601000,"url":"/b"}\n{"at":"never","url":"/"}\n')
  const server = await PlantUnderTest.start({ pipelines: [web], sources: [source('log', hits, fileSource({ path: file, tail: true }))] })
  const scrape = async (): Promise<ReadonlyMap<string, Family>> => {
    const answer = await server.get('/metrics')
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    return parse(answer.text)
  }
  const one = (families: ReadonlyMap<string, Family>, name: string, labels: Readonly<Record<string, string>>): number => {
    const family = families.get(`millrace_${name}`)
    assert.ok(family !== undefined, `there is no ${name}`)
    const found = family.samples.filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    assert.equal(found.length, 1, `${name} ${JSON.stringify(labels)}`)
    return found[0]?.value ?? Number.NaN
  }
  const task = { pipeline: 'web', task: 'hits/0' }
  const families = await eventually(scrape, (found) => one(found, 'task_watermark_seconds', task) >= 1_767_225_601)
  assert.equal(one(families, 'task_running', task), 1)
  assert.equal(one(families, 'task_dead_letters_total', task), 1)
  assert.equal(one(families, 'task_lag_records', task), 0)
  assert.equal(one(families, 'table_rows', { table: 'per_minute' }), 2)
  assert.ok(one(families, 'task_state_bytes', task) > 0)
  assert.ok(one(families, 'task_commits_total', task) > 0)
  assert.ok(one(families, 'task_commit_seconds', task) < 20)
  assert.equal(one(families, 'input_lag_records', { ...task, input: 'hits' }), 0)
  assert.ok(one(families, 'topic_records_per_second', { topic: 'hits' }) >= 0)
  assert.equal(one(families, 'operator_rows_in_total', { pipeline: 'web', operator: 'per-minute' }), 2)
  assert.equal(one(families, 'source_records_total', { source: 'log', topic: 'hits' }), 3)
  assert.ok(one(families, 'table_freshness_seconds', { table: 'per_minute' }) >= 0)
  assert.equal(one(families, 'input_waiting_seconds', { ...task, input: 'hits' }), 0)
  assert.equal(one(families, 'log_request_keys_forgotten_total', {}), 0)
  assert.equal(one(families, 'log_quarantined', {}), 0)
  assert.equal(one(families, 'source_lag', { source: 'log', unit: 'bytes' }), 0)

  // Names cannot hold such characters today; the format has to stand it all the same.
  const name = 'a "quoted"\\name\nof two lines'
  const status = server.plant.status()
  const figures = { requests: 0, refused: 0, repeated: 0, events: 0, bytes: 0 }
  const odd = metricsText({ ...status, topics: status.topics.map((one) => ({ ...one, name })).slice(0, 1) }, { figures, inFlightBytes: 0 })
  assert.equal(parse(odd).get('millrace_topic_bytes')?.samples[0]?.labels['topic'], name)
  await server.stop()
})
