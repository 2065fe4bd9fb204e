// The plan and the faults of the simulated plant: data only.
import type { DeadLetterView } from 'millrace/api'

export const SAMPLE_NODES = [
  { name: 'departures', kind: 'source', inputs: [], part: 'ingest', place: 'examples/flights/pipeline.ts:14', target: 'departures' },
  { name: 'clean', kind: 'filter', inputs: [0], part: 'ingest', place: 'examples/flights/pipeline.ts:16', target: null },
  { name: 'once', kind: 'dedupe', inputs: [1], part: 'ingest', place: 'examples/flights/pipeline.ts:17', target: null },
  { name: 'airports', kind: 'table-source', inputs: [], part: 'ingest', place: 'examples/flights/pipeline.ts:10', target: 'airports' },
  {
    name: 'with-airport',
    kind: 'stream-table-join',
    inputs: [2, 3],
    part: 'ingest',
    place: 'examples/flights/pipeline.ts:19',
    target: null,
  },
  { name: 'archive', kind: 'to-sink', inputs: [4], part: 'archive', place: 'examples/flights/pipeline.ts:24', target: 'parquet' },
  { name: 'per-hour', kind: 'aggregate', inputs: [4], part: 'per-hour', place: 'examples/flights/pipeline.ts:28', target: null },
  { name: 'hourly', kind: 'to-table', inputs: [6], part: 'per-hour', place: 'examples/flights/pipeline.ts:36', target: 'hourly' },
  { name: 'unusual-delays', kind: 'scan', inputs: [6], part: 'per-hour', place: 'examples/flights/pipeline.ts:39', target: null },
  { name: 'alerts', kind: 'to-topic', inputs: [8], part: 'per-hour', place: 'examples/flights/pipeline.ts:52', target: 'alerts' },
  { name: 'late', kind: 'late', inputs: [6], part: 'per-hour', place: 'examples/flights/pipeline.ts:33', target: null },
  {
    name: 'late-departures',
    kind: 'to-topic',
    inputs: [10],
    part: 'per-hour',
    place: 'examples/flights/pipeline.ts:34',
    target: 'late-departures',
  },
] as const

export const SAMPLE_PARTS = [
  { name: 'ingest', groups: 2, input: 'departures', counts: 'clean', windows: false, lag: 320, stateShare: 0.22 },
  { name: 'per-hour', groups: 2, input: '__flights.ingest.to.per-hour', counts: 'per-hour', windows: true, lag: 40, stateShare: 0.06 },
  { name: 'archive', groups: 1, input: 'archive feed', counts: 'archive', windows: false, lag: 2600, stateShare: 0 },
] as const

type Cause = Pick<DeadLetterView, 'code' | 'operator' | 'message' | 'fix' | 'place' | 'text' | 'base64'>

export const LETTER_CAUSES: readonly Cause[] = [
  {
    code: 'MR_CODEC_JSON_INVALID',
    operator: 'departures',
    message: 'The value is not valid JSON. line=`1`, column=`78`, expected=`, or }`',
    fix: 'Correct the producer, or give the topic a schema that takes what it sends.',
    place: null,
    text: '{"id":182044,"date":"2001-01-03T11:42:00.000Z","delay":14,"distance":606,"orig',
    base64: null,
  },
  {
    code: 'MR_RUNTIME_USER_THROW',
    operator: 'clean',
    message: "TypeError: Cannot read properties of null (reading 'trim')",
    fix: 'Correct the function at the place named, restart, then retry.',
    place: 'examples/flights/pipeline.ts:16:42',
    text: '{"id":182377,"date":"2001-01-03T12:10:00.000Z","delay":3,"distance":1541,"origin":null,"destination":"SEA"}',
    base64: null,
  },
  {
    code: 'MR_TIME_AHEAD',
    operator: 'departures',
    message: 'The event time is more than a day ahead of its partition and was not confirmed. time=`2031-01-03T12:15:00Z`, ahead=`10957 d`',
    fix: 'Set the clock of the producer; raise `clockAheadMs` if such jumps are real.',
    place: null,
    text: '{"id":182501,"date":"2031-01-03T12:15:00.000Z","delay":-2,"distance":337,"origin":"LAX","destination":"SFO"}',
    base64: null,
  },
  {
    code: 'MR_CODEC_UTF8_INVALID',
    operator: 'departures',
    message: 'The value is not valid UTF-8. byte=`21`',
    fix: 'Send UTF-8.',
    place: null,
    text: null,
    base64: Buffer.from([...Buffer.from('{"id":182900,"origin":"'), 0xff, 0xfe, 0x00, 0x9c, ...Buffer.from('","delay":7}')]).toString(
      'base64',
    ),
  },
]
