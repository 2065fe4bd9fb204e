// The alert rules that are shipped: what they ask for is in a real scrape, and each says what happened and what to do.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileSource } from '@millrace/core/connect'
import { parse } from 'yaml'
import { source } from '../../source.ts'
import { hits, PlantUnderTest, temporaryFolder, webPipeline } from '../plant.fixture.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly fix: string }
}

const FILE = path.join(import.meta.dirname, '../../../alerts.yaml')
const { groups } = parse(readFileSync(FILE, 'utf8')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)

test('every metric and label of an alert rule is in a scrape', async () => {
  const sources = [source('access', hits, fileSource({ path: path.join(temporaryFolder(), 'access.ndjson'), tail: true }))]
  const plant = await PlantUnderTest.start({ pipelines: [webPipeline()], sources })
  const { text } = await plant.get('/metrics')
  await plant.stop()
  assert.ok(rules.length > 5)
  for (const { alert, expr, annotations } of rules) {
    const names = expr.match(/millrace_\w+/g) ?? []
    assert.ok(names.length > 0 || alert === 'MillraceDown', alert)
    for (const name of names) assert.ok(text.includes(`\n# TYPE ${name} `), `${alert}: ${name}`)
    for (const [, label] of `${annotations.summary}${annotations.fix}`.matchAll(/\$labels\.(\w+)/g))
      assert.ok(
        text.split('\n').some((line) => line.startsWith(`${names[0]}{`) && line.includes(`${label}="`)),
        `${alert}: ${label}`,
      )
  }
})

test('every alert rule has a name of its own, a severity, a summary and a fix', () => {
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const rule of rules) {
    assert.match(rule.alert, /^Millrace[A-Z]\w+$/)
    assert.match(rule.for, /^\d+m$/)
    assert.ok(['page', 'warn'].includes(rule.labels.severity), rule.alert)
    assert.match(rule.annotations.summary, /\.$/)
    assert.match(rule.annotations.fix, /\.$/)
  }
})
