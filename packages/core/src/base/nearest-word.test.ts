import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nearestWord } from './nearest-word.ts'

test('misspellings find their word, other words find none', () => {
  const words = ['eventTime', 'disorderMs', 'key', 'partitions', 'retentionMs']
  assert.equal(nearestWord('evenTime', words), 'eventTime')
  assert.equal(nearestWord('eventtime', words), 'eventTime')
  assert.equal(nearestWord('kye', words), 'key')
  assert.equal(nearestWord('retentoinMs', words), 'retentionMs')
  assert.equal(nearestWord('color', words), null)
  assert.equal(nearestWord('x', []), null)
  assert.equal(nearestWord('a', ['b']), null)
})

test('a word is nearest to itself, whatever else there is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1 })),
      fc.string({ minLength: 1 }),
      (words, word) => nearestWord(word, [...words.filter((other) => other.toLowerCase() !== word.toLowerCase()), word]) === word,
    ),
  )
})

test('one letter more, less or other is always recognised in words of four letters and more', () => {
  const word = fc.stringMatching(/^[a-z]{4,12}$/)
  fc.assert(
    fc.property(word, fc.nat(3), fc.constantFrom('insert', 'remove', 'replace'), (text, at, kind) => {
      const cut = kind === 'insert' ? at : at + 1
      const typed = text.slice(0, at) + (kind === 'remove' ? '' : '_') + text.slice(cut)
      assert.equal(nearestWord(typed, ['0000000000000000', text]), text)
    }),
  )
})
