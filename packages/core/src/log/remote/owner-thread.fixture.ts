// A thread that owns a log and serves it to the thread that has started it; the tests tell it what shall happen to the log.
import { type MessagePort, parentPort } from 'node:worker_threads'
import { must } from '../../base/assert.ts'
import { embedded, realTurns } from './inner-log.fixture.ts'
import { LogServer } from './log-server.ts'

export type OwnerCommand =
  | { readonly do: 'connect'; readonly port: MessagePort }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'maintain' | 'reopen' | 'crash' | 'close' }
  | { readonly do: 'damage'; readonly topic: string; readonly partition: number; readonly offset: number }

const owner = must(parentPort, 'a parent')
const time = realTurns()
let inner = await embedded(time, false)
let server = new LogServer(inner.log)

async function obey(command: OwnerCommand): Promise<void> {
  switch (command.do) {
    case 'connect':
      return server.connect(command.port)
    case 'advance':
      return time.advance(command.ms)
    case 'maintain':
      return inner.maintain()
    case 'damage':
      return inner.damage(command.topic, command.partition, command.offset)
    case 'close':
      await server.close()
      return inner.log.close()
    case 'reopen':
    case 'crash':
      inner = await inner[command.do]()
      server = new LogServer(inner.log)
  }
}

owner.on('message', (command: OwnerCommand) => {
  void obey(command).then(() => owner.postMessage(time.nowMs()))
})
owner.postMessage(time.nowMs())
