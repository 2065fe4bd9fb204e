import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { EventLines } from './event-lines.ts'

describe('event lines', () => {
  test('however the stream is cut, each event arrives once and whole', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat({ max: 12 })), (values, cuts) => {
        const texts = values.map((value) => JSON.stringify(value))
        let stream = texts.map((text) => `data: ${text}\n\n`).join(':\n\n')
        const seen: string[] = []
        const lines = new EventLines((text) => seen.push(text))
        for (const cut of cuts) {
          lines.take(stream.slice(0, cut))
          stream = stream.slice(cut)
        }
        lines.take(stream)
        assert.deepEqual(seen, texts)
      }),
    )
  })

  test('comments, names and an unfinished event are no data; several lines are one', () => {
    const seen: string[] = []
    const lines = new EventLines((text) => seen.push(text))
    lines.take(':\n\nevent: x\ndata:one\ndata: two\n\ndata: never')
    assert.deepEqual(seen, ['one\ntwo'])
  })
})
