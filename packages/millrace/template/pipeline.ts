import { count, pipeline, t, topic, tumbling } from 'millrace'

/** Events as they arrive: POST http://localhost:4410/topics/hits */
export const hits = topic('hits', {
  value: t.object({ at: t.time(), url: t.string(), ip: t.string() }),
  eventTime: 'at',
  disorderMs: 5_000,
})

export default pipeline('web', (mill) => {
  return mill
    .from(hits)
    .groupBy('url')
    .window(tumbling({ sizeMs: 60_000 }))
    .aggregate({ hits: count() }, { name: 'per-minute' })
    .toTable('per_minute')
})
