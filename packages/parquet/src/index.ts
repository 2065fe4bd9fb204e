// @millrace/parquet: an own Parquet encoder over the engine's columns, and the sink that archives with it.
export { parquetEncoder, type ParquetEncoder, type ParquetOptions, type ParquetOutput } from './encoder.ts'
export { parquet, PARQUET_SPEC, type ParquetSettings } from './sink.ts'
