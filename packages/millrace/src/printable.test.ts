import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@millrace/core/engine'
import { createLogLines } from './server/watch/log-lines.ts'
import { printable } from './printable.ts'

const STEERING = '\u001b]52;c;cHduZWQ=\u0007\r\u009b31m\u202e\u007f\u0000'

test('what steers a terminal is written out; every other text stays as it is', () => {
  assert.equal(printable(STEERING), '\\u001b]52;c;cHduZWQ=\\u0007\\u000d\\u009b31m\\u202e\\u007f\\u0000')
  const plain = 'a\tb\n  ünïcödé 日本 \u{1f600} \\u001b – "quoted"\n'
  assert.equal(printable(plain), plain)
})

test('a line of the log holds no character that steers a terminal, wherever it came in', () => {
  const lines: string[] = []
  const log = createLogLines({ clock: systemClock, json: false, out: (line) => void lines.push(line) })
  log.write('warning', `bad ${STEERING}\nline`, { task: STEERING, fix: STEERING })
  assert.equal(lines.length, 1)
  assert.equal(lines[0], printable(lines[0] ?? ''))
  assert.match(lines[0] ?? '', /bad \\u001b\]52;c;.* line task=\\u001b/)
})
