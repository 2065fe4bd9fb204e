// Whose failure an unhandled rejection is: the user's with its place, or millrace's own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { strayFailure } from './stray-failure.ts'

function failed(...frames: readonly string[]): Error {
  return Object.assign(new Error('no'), { stack: ['Error: no', ...frames.map((frame) => `    at ${frame}`)].join('\n') })
}

const OWN = 'Pump.send (file:///app/node_modules/@millrace/core/dist/engine.js:3:9)'
const NODE = 'process.processTicksAndRejections (node:internal/process/task_queues:105:5)'

test('millrace has failed when nobody else is in the stack', () => {
  assert.equal(strayFailure(failed(OWN, NODE)), null)
  assert.equal(strayFailure(failed('async send (/app/node_modules/millrace/dist/client/producer.js:40:5)')), null)
})

test('the user has let go of what fails in their code, in a library of theirs, below a call of ours, or has no stack at all', () => {
  for (const [reason, place] of [
    [failed('ask (file:///app/pipeline.ts:4:5)', OWN), '/app/pipeline.ts:4:5'],
    [failed(NODE, 'async ask (file:///app/pipeline.ts:4:5)'), '/app/pipeline.ts:4:5'],
    [failed(OWN, 'async ask (file:///app/pipeline.ts:4:5)'), '/app/pipeline.ts:4:5'],
    [failed('get (/app/node_modules/got/index.js:1:2)', OWN), '/app/node_modules/got/index.js:1:2'],
    [failed('get (/app/node_modules/got/index.js:1:2)', 'ask (file:///app/pipeline.ts:4:5)'), '/app/pipeline.ts:4:5'],
    [failed(NODE), undefined],
    ['a text', undefined],
    [undefined, undefined],
    [
      Object.defineProperty(new Error('x'), 'stack', {
        get: () => {
          throw new Error('no')
        },
      }),
      undefined,
    ],
  ] as const) {
    const error = strayFailure(reason)
    assert.equal(error?.code, 'MR_RUNTIME_USER_STRAY')
    assert.equal(error.details['place'], place)
  }
})
