// What readers of an archive on the simulated disk see: lines of JSON or Parquet, in folders that name the values of fields.
import { parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { readFully } from '@millrace/core/engine'
import type { Disk } from '@millrace/core/engine'

type Row = Readonly<Record<string, unknown>>

/** Staged files are nobody's business. */
const isHidden = (name: string): boolean => name.startsWith('_')

export async function readArchive(disk: Disk, folder: string, fields: Row = {}): Promise<readonly Row[]> {
  if (!disk.exists(folder)) return []
  const rows: Row[] = []
  for (const name of disk.list(folder)) {
    const path = `${folder}/${name}`
    if (isHidden(name)) continue
    const [field, value] = name.split('=')
    if (/\.(rows|ndjson)$/.test(name)) rows.push(...lines(readFile(disk, path)).map((row) => ({ ...row, ...fields })))
    else if (name.endsWith('.parquet')) rows.push(...(await parquetRows(readFile(disk, path))).map((row) => ({ ...row, ...fields })))
    else if (field !== undefined && value !== undefined)
      rows.push(...(await readArchive(disk, path, { ...fields, [field]: decodeURIComponent(value) })))
  }
  return rows
}

function readFile(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  readFully(file, bytes, 0)
  file.close()
  return bytes
}

function lines(bytes: Uint8Array): readonly Row[] {
  const texts = new TextDecoder().decode(bytes).split('\n')
  return texts.filter((text) => text !== '').map((text) => JSON.parse(text) as Row)
}

/** Numbers and times as the other archives have them. */
async function parquetRows(bytes: Uint8Array): Promise<readonly Row[]> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  const rows = (await parquetReadObjects({ file, compressors })) as readonly Row[]
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])))
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  return value instanceof Date ? value.getTime() : value
}
