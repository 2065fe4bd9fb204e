// Entry of a worker thread: imports the pipeline by itself, checks that it is the one that was started, and runs the tasks of its groups on
// the owner's log. It answers its owner over the thread's own port and reports what its tasks do.
import { parentPort, workerData } from 'node:worker_threads'
import { must } from '../../base/assert.ts'
import { systemClock } from '../../base/clock.ts'
import { type NativeCrc32c, useNativeCrc32c } from '../../base/crc32c.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import { nodeDisk } from '../../base/node-disk.ts'
import { sleep, systemScheduler } from '../../base/scheduler.ts'
import { thrownText } from '../../base/thrown-text.ts'
import { compiler } from '../../compile/compiler.ts'
import { RemoteLog } from '../../log/remote/remote-log.ts'
import { errorToWire } from '../../log/remote/wire.ts'
import { codeVersion } from '../../plan/hash.ts'
import type { Plan } from '../../plan/node.ts'
import { strayFailure } from '../stray-failure.ts'
import { LocalTasks } from '../task/local-tasks.ts'
import { topologyOf } from '../topics.ts'
import type { ModuleExport, WorkerOrder } from './worker-options.ts'
import { type FromWorker, postedEvent, postedFailure, type ToWorker } from './worker-wire.ts'

/** How often the page's figures are brought up to date. */
const REPORT_MS = 250

const port = must(parentPort, 'the port of the thread')
const order = workerData as WorkerOrder
let closed = false

function post(message: FromWorker): void {
  port.postMessage(message)
}

async function imported({ module, exportName }: Required<ModuleExport>): Promise<unknown> {
  try {
    const exports = (await import(module)) as Readonly<Record<string, unknown>>
    return exports[exportName]
  } catch (cause) {
    throw new MillraceError('MR_WORKER_MODULE', { message: thrownText(cause), details: { module }, cause })
  }
}

/** The plan of the pipeline as this thread has built it. */
async function loadPlan(): Promise<Plan> {
  const { module, exportName } = order.pipeline
  const exported = await imported(order.pipeline)
  const plans = (Array.isArray(exported) ? (exported as readonly unknown[]) : [exported]).flatMap(planOf)
  const plan = plans.find(({ pipeline }) => pipeline === order.name)
  const details = { module, exportName, pipeline: order.name }
  if (plan === undefined) throw new MillraceError('MR_WORKER_MODULE', { message: 'the module does not export this pipeline.', details })
  const version = codeVersion(plan)
  if (version !== order.planVersion)
    throw new MillraceError('MR_WORKER_CODE', { details: { ...details, version, started: order.planVersion } })
  return plan
}

function planOf(definition: unknown): readonly Plan[] {
  return typeof definition === 'object' && definition !== null && 'plan' in definition ? [definition.plan as Plan] : []
}

async function openTasks(): Promise<{ readonly tasks: LocalTasks; readonly log: RemoteLog }> {
  if (order.nativeCrc32c !== null) useNativeCrc32c((await imported(order.nativeCrc32c)) as NativeCrc32c)
  const plan = await loadPlan()
  const log = await RemoteLog.connect(order.log, { disk: nodeDisk })
  const environment = {
    ...order.settings,
    log,
    clock: systemClock,
    scheduler: systemScheduler,
    disk: nodeDisk,
    plan,
    topology: topologyOf(plan, { log, compiler, codeVersion: order.codeVersion }),
    compiler,
    replay: null,
    report: (event: Parameters<typeof postedEvent>[0]) => post({ kind: 'event', event: postedEvent(event) }),
  }
  return { tasks: await LocalTasks.open(environment, (group) => group % order.count === order.index), log }
}

function report(tasks: LocalTasks): void {
  post({ kind: 'reports', reports: tasks.reports(), failures: tasks.failures().map(postedFailure) })
}

async function answer(tasks: LocalTasks, log: RemoteLog, message: ToWorker): Promise<unknown> {
  switch (message.kind) {
    case 'table':
      return tasks.readTable(message.question)
    case 'stop':
      await tasks.stop(message.part)
      return report(tasks)
    case 'close':
      closed = true
      await tasks.close()
      await log.close()
  }
}

async function run(): Promise<void> {
  const { tasks, log } = await openTasks()
  port.on('message', (message: ToWorker) => {
    answer(tasks, log, message).then(
      (value) => post({ kind: 'done', id: message.id, value }),
      (error: unknown) => post({ kind: 'failed', id: message.id, error: errorToWire(error) }),
    )
  })
  tasks.start()
  await tasks.ready()
  report(tasks)
  post({ kind: 'ready' })
  void tasks.ended().then(() => {
    report(tasks)
    post({ kind: 'ended' })
  })
  while (!closed) {
    await sleep(systemScheduler, REPORT_MS)
    if (!closed) report(tasks)
  }
}

process.on('unhandledRejection', (reason: unknown) => {
  const error = strayFailure(reason)
  if (error === null) throw reason
  post({ kind: 'event', event: postedEvent({ kind: 'stray', task: 'user code', error }) })
})

try {
  await run()
} catch (error) {
  // Anything that is no operating error is the module's: it is what this thread runs before the tasks exist.
  post({
    kind: 'refused',
    error: errorToWire(
      isMillraceError(error)
        ? error
        : new MillraceError('MR_WORKER_MODULE', { message: thrownText(error), details: { module: order.pipeline.module }, cause: error }),
    ),
  })
}
