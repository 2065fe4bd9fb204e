// What tests of pipelines, logs, sources and sinks need: virtual time, a disk that fails, the conformance suites.
export { logConformance, type LogConformanceOptions, type LogOpener, type LogUnderTest } from './log-conformance.ts'
export {
  type ConformanceRow,
  sinkConformance,
  type SinkConformanceOptions,
  type SinkOpener,
  type SinkUnderTest,
} from './sink-conformance.ts'
export { SECTOR_BYTES, SimulatedDisk, type SimulatedDiskOptions, SimulatedPowerCut } from './simulated-disk.ts'
export { VirtualTime, type VirtualTimeOptions } from './virtual-time.ts'
export {
  type FeedOptions,
  PipelineTest,
  type PipelineTestOptions,
  type TestDeadLetter,
  type TestRecord,
  testPipeline,
} from './pipeline-driver.ts'
