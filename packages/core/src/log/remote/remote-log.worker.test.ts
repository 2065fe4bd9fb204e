// The conformance suite with the owner of the log in another thread.
import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import { logConformance, type LogUnderTest } from '../../testing/log-conformance.ts'
import type { OwnerCommand } from './owner-thread.fixture.ts'
import { RemoteLog } from './remote-log.ts'

/** The thread, and what it says of its time. */
class Owner {
  nowMs = 0
  #ended = false
  readonly #thread = new Worker(new URL(import.meta.resolve('./owner-thread.fixture.ts')))

  async told(): Promise<void> {
    const [nowMs] = (await once(this.#thread, 'message')) as [number]
    this.nowMs = nowMs
  }

  async order(command: OwnerCommand): Promise<void> {
    const told = this.told()
    this.#thread.postMessage(command, command.do === 'connect' ? [command.port] : [])
    await told
  }

  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.order({ do: 'close' })
    await this.#thread.terminate()
  }
}

async function over(owner: Owner): Promise<LogUnderTest> {
  const { port1, port2 } = new MessageChannel()
  const connected = RemoteLog.connect(port2)
  await owner.order({ do: 'connect', port: port1 })
  const log = await connected
  return {
    log,
    advance: async (ms) => {
      await log.refresh()
      await owner.order({ do: 'advance', ms })
      await log.refresh()
    },
    nowMs: () => owner.nowMs,
    maintain: async () => {
      await owner.order({ do: 'maintain' })
      await log.refresh()
    },
    reopen: async () => {
      await log.close()
      await owner.order({ do: 'reopen' })
      return over(owner)
    },
    crash: async () => {
      await log.refresh()
      await owner.order({ do: 'crash' })
      return over(owner)
    },
    damage: (topic, partition, offset) => owner.order({ do: 'damage', topic, partition, offset }),
    dispose: () => owner.end(),
  }
}

logConformance(
  'RemoteLog with its owner in another thread',
  async () => {
    const owner = new Owner()
    await owner.told()
    return over(owner)
  },
  { canCrash: true, canDamage: true, modelRuns: 5 },
)
