// Crash images of a real file system: what a power cut leaves. The plant runs on a loop device whose file system commits by itself only every
// 300 s; while it holds still the backing file is copied without a sync; the copy is mounted and must recover.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Random } from '@millrace/core/connect'
import { PlantProcess } from './child.ts'
import { Load, wait } from './load.ts'
import type { Book } from './load.ts'
import { verify } from './verify.ts'
import type { Verdict } from './verify.ts'

const IMAGE_BYTES = '1G'
const RUNNING_MS_MAX = 4_000

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** A file system in a file, mounted. */
class MountedImage {
  readonly folder: string
  readonly #device: string

  constructor(image: string, folder: string) {
    mkdirSync(folder, { recursive: true })
    this.folder = folder
    this.#device = run('losetup', '-f', '--show', image)
    try {
      run('mount', '-o', 'commit=300', this.#device, folder)
    } catch (error) {
      run('losetup', '-d', this.#device)
      throw error
    }
  }

  unmount(): void {
    run('umount', this.folder)
    run('losetup', '-d', this.#device)
  }
}

/** Why this machine cannot mount images; null when it can. */
export function whyNoImages(): string | null {
  const root = mkdtempSync(path.join(tmpdir(), 'millrace-image-'))
  try {
    run('truncate', '-s', '16M', path.join(root, 'probe.img'))
    run('mkfs.ext4', '-q', path.join(root, 'probe.img'))
    new MountedImage(path.join(root, 'probe.img'), path.join(root, 'probe')).unmount()
    return null
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n').at(-1) ?? error.message) : String(error)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** One image: what was acknowledged before it was taken must be on it. */
export async function imageRound(random: Random): Promise<Verdict> {
  const root = mkdtempSync(path.join(tmpdir(), 'millrace-image-'))
  const image = path.join(root, 'disk.img')
  const copy = path.join(root, 'crash.img')
  run('truncate', '-s', IMAGE_BYTES, image)
  run('mkfs.ext4', '-q', image)
  const book = await loadAndCopy(image, copy, path.join(root, 'live'), random)
  const mounted = new MountedImage(copy, path.join(root, 'after'))
  const plant = new PlantProcess(path.join(mounted.folder, 'data'), 0)
  try {
    const url = await plant.ready
    const verdict = await verify(url, path.join(mounted.folder, 'data'), book, () => plant.stop())
    return verdict
  } finally {
    if (!plant.isOver) await plant.kill()
    mounted.unmount()
    rmSync(root, { recursive: true, force: true })
  }
}

/** Runs a plant under load and copies its disk at a random moment. Returns the book as it was at that moment. */
async function loadAndCopy(image: string, copy: string, folder: string, random: Random): Promise<Book> {
  const live = new MountedImage(image, folder)
  const plant = new PlantProcess(path.join(folder, 'data'), 0)
  const load = new Load(random.fork())
  try {
    load.url = await plant.ready
    load.start()
    await wait(300 + random.below(RUNNING_MS_MAX))
    plant.pause()
    // The plant cannot answer any more: what is acknowledged later in this process was answered before.
    await wait(50)
    const book: Book = { acknowledged: new Set(load.book.acknowledged), uncertain: new Set([...load.book.uncertain, ...load.pending]) }
    run('cp', '--sparse=always', image, copy)
    return book
  } finally {
    load.url = null
    await plant.kill()
    load.abandon()
    live.unmount()
  }
}
