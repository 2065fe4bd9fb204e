// The plant that the crash campaign kills.
//   MILLRACE_CRASH_FOLDER=FOLDER node --conditions=mr-source sim/crash/plant.ts WORKERS
// WORKERS: threads that run the tasks; 0 is the main thread. Says `ready URL` on standard output when it listens; stops in order on SIGTERM;
// leaves at once with code 3 when the log has failed.
import { startPlant } from 'millrace'
import { FOLDER_VARIABLE, definition } from './pipeline.ts'

const workers = Number(process.argv[2] ?? 0)
const plant = await startPlant({
  folder: process.env[FOLDER_VARIABLE] ?? '',
  pipelines: [definition],
  port: 0,
  memoryBytes: 64 << 20,
  diskReserveBytes: 0,
  ...(workers === 0 ? {} : { workers: { count: workers, module: new URL('pipeline.ts', import.meta.url).href, exportName: 'definition' } }),
  onFatal: (error) => {
    process.stderr.write(`fatal: ${String(error)}\n`)
    process.exit(3)
  },
})
process.once('SIGTERM', () => {
  void plant.stop().then(() => process.exit(0))
})
process.stdout.write(`ready ${plant.url}\n`)
