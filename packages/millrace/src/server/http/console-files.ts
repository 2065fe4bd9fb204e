// The console page: files of its build folder, read once, served with types and a policy that lets nothing else in.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}

// Inline styles only as attributes: the picture and the charts place their parts with them.
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"

interface ConsoleFile {
  readonly type: string
  readonly bytes: Buffer
  /** Files whose name has the hash of their content never change. */
  readonly isFixed: boolean
}

const MISSING = `<!doctype html><html lang="en"><meta charset="utf-8"><title>millrace</title>
<h1>millrace runs</h1><p>The console page is not built here. Build it with <code>npm run build</code>, or look at
<a href="api/status">api/status</a>, <a href="metrics">metrics</a> and <a href="openapi.json">openapi.json</a>.</p></html>
`

/** Where the page lies: inside the published package, or in the workspace. Null when it is not built. */
export function consoleFolder(): string | null {
  const folders = ['../../console/', '../../../../console/dist/'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  return folders.find((folder) => existsSync(join(folder, 'index.html'))) ?? null
}

export class ConsoleFiles {
  readonly #folder: string | null
  readonly #files = new Map<string, ConsoleFile>()

  constructor(folder: string | null) {
    this.#folder = folder
    this.#load()
  }

  /** Answers when there is a file for the path. */
  answer(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const file = this.#files.get(path)
    if (file === undefined) return false
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': file.bytes.length,
      'cache-control': file.isFixed ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    response.end(request.method === 'HEAD' ? undefined : file.bytes)
    return true
  }

  #load(): void {
    if (this.#folder === null) {
      this.#files.set('/', { type: TYPES['.html'] as string, bytes: Buffer.from(MISSING), isFixed: false })
      return
    }
    for (const name of readdirSync(this.#folder, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue
      const full = join(name.parentPath, name.name)
      const path = `/${full.slice(this.#folder.length).replaceAll('\\', '/').replace(/^\/+/, '')}`
      const type = TYPES[extname(name.name)]
      if (type === undefined) continue
      this.#files.set(path, { type, bytes: readFileSync(full), isFixed: path.startsWith('/assets/') })
    }
    const index = this.#files.get('/index.html')
    if (index !== undefined) this.#files.set('/', index)
  }
}
