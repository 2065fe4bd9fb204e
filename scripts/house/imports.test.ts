// The import direction of packages/core/src, and what a package may import at all. The table is the architecture: to add an edge is an ADR.
import assert from 'node:assert/strict'
import path from 'node:path'
import { describe, test } from 'node:test'
import { importsOf, isTest, readTreeFile, treeFiles } from './source-files.ts'

/** Each folder and the folders directly below it; a folder also sees what those see. `import type` counts like any other import. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  base: [],
  codec: ['base'],
  time: ['base'],
  log: ['codec', 'time'],
  state: ['log'],
  connect: ['codec', 'time'],
  plan: ['connect'],
  dsl: ['plan'],
  sql: ['plan'],
  operators: ['time', 'state'],
  compile: ['plan', 'operators'],
  runtime: ['compile'],
  testing: ['runtime', 'dsl', 'sql'],
}

/** Node's own modules, by folder. Files, clocks, timers and chance come in through base/ alone. */
const BUILTINS: Readonly<Record<string, readonly string[]>> = {
  codec: ['node:zlib'],
  log: ['node:worker_threads'],
  runtime: ['node:worker_threads'],
  testing: ['node:assert/strict', 'node:test', 'node:worker_threads'],
}

/** Functions of their arguments alone; every folder may use them. */
const PURE_BUILTINS: readonly string[] = ['node:buffer', 'node:path', 'node:url', 'node:util']

/** Doors of the package: they may see every folder, and nothing inside the package imports them. */
const ENTRY_POINTS: ReadonlySet<string> = new Set(['index.ts', 'engine.ts'])

const CORE = 'packages/core/src'

function visibleFrom(folder: string): ReadonlySet<string> {
  const seen = new Set([folder])
  for (const each of seen) for (const below of BELOW[each] ?? []) seen.add(below)
  return seen
}

interface Edge {
  readonly from: string
  readonly to: string
  readonly line: number
  readonly typeOnly: boolean
}

const sources = treeFiles().filter((name) => /^packages\/[^/]+\/src\/.*\.tsx?$/.test(name))

function edgesOf(name: string): readonly Edge[] {
  return importsOf(readTreeFile(name)).map(({ specifier, line, typeOnly }) => ({
    from: name,
    to: specifier.startsWith('.') ? path.posix.join(path.posix.dirname(name), specifier) : specifier,
    line,
    typeOnly,
  }))
}

const edges = sources.flatMap(edgesOf)
const coreEdges = edges.filter((edge) => edge.from.startsWith(`${CORE}/`))

/** First part of a path below packages/core/src: a folder, or an entry point. */
function roomOf(name: string): string {
  return name.slice(CORE.length + 1).split('/')[0] ?? ''
}

function say(edge: Edge): string {
  return `${edge.from}:${edge.line} imports ${edge.to}`
}

function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const found: string[] = []
  const done = new Set<string>()
  const trail: string[] = []
  const visit = (node: string): void => {
    if (trail.includes(node)) {
      found.push([...trail.slice(trail.indexOf(node)), node].join(' -> '))
      return
    }
    if (done.has(node)) return
    trail.push(node)
    for (const next of graph.get(node) ?? []) visit(next)
    trail.pop()
    done.add(node)
  }
  for (const node of graph.keys()) visit(node)
  return found
}

describe('imports inside core', () => {
  test('every folder is in the table', () => {
    const rooms = new Set(sources.filter((name) => name.startsWith(`${CORE}/`)).map(roomOf))
    const strangers = [...rooms].filter((room) => !(room in BELOW) && !ENTRY_POINTS.has(room))
    assert.deepEqual(strangers, [], 'put the folder into BELOW, with an ADR')
  })

  test('no edge points upward', () => {
    const upward = coreEdges.filter((edge) => {
      if (!edge.to.startsWith(`${CORE}/`) || ENTRY_POINTS.has(roomOf(edge.from))) return false
      if (isTest(edge.from) && (roomOf(edge.to) === 'testing' || ENTRY_POINTS.has(roomOf(edge.to)))) return false
      return !visibleFrom(roomOf(edge.from)).has(roomOf(edge.to))
    })
    assert.deepEqual(upward.map(say), [])
  })

  test('core depends on nothing from others, and reaches Node only where the table says', () => {
    const foreign = coreEdges.filter((edge) => {
      const room = roomOf(edge.from)
      if (edge.to.startsWith('packages/') || isTest(edge.from)) return false
      return !(edge.to.startsWith('node:') && (room === 'base' || PURE_BUILTINS.includes(edge.to) || BUILTINS[room]?.includes(edge.to)))
    })
    assert.deepEqual(foreign.map(say), [], 'files, clocks and chance come through base/; anything else is a package of its own')
  })
})

describe('imports inside and across packages', () => {
  test('only tests import fixtures', () => {
    const wrong = edges.filter((edge) => !isTest(edge.from) && /\.fixture\.tsx?$/.test(edge.to))
    assert.deepEqual(wrong.map(say), [])
  })

  test('no file imports itself through others', () => {
    // Between files of one folder a type may point back: it is erased, and two halves of one notion name each other's types.
    const binding = edges.filter((edge) => !edge.typeOnly || path.posix.dirname(edge.from) !== path.posix.dirname(edge.to))
    const graph = new Map(sources.map((name) => [name, binding.filter((edge) => edge.from === name).map((edge) => edge.to)]))
    assert.deepEqual(cycles(graph), [])
  })

  test('a relative import stays inside its package', () => {
    const packageOf = (name: string): string => name.split('/').slice(0, 2).join('/')
    const leaving = edges.filter((edge) =>
      edge.to.startsWith('packages/') || edge.to.startsWith('../') ? packageOf(edge.to) !== packageOf(edge.from) : false,
    )
    assert.deepEqual(leaving.map(say), [], 'import the other package by its name')
  })

  test('nothing inside a package imports an entry point of the same package', () => {
    const own = edges.filter(
      (edge) => !isTest(edge.from) && /^packages\/[^/]+\/src\/(index|engine)\.ts$/.test(edge.to) && roomOf(edge.from) !== 'index.ts',
    )
    assert.deepEqual(own.map(say), [])
  })

  test('a package imports only what its package.json names', () => {
    const undeclared = edges.filter((edge) => {
      if (edge.to.startsWith('packages/') || edge.to.startsWith('node:') || isTest(edge.from)) return false
      const manifest = JSON.parse(readTreeFile(`${edge.from.split('/').slice(0, 2).join('/')}/package.json`)) as Manifest
      const name = edge.to
        .split('/')
        .slice(0, edge.to.startsWith('@') ? 2 : 1)
        .join('/')
      const named = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
      // The console is bundled: what it uses is there at build time only.
      return !(name in named || (manifest.private === true && name in (manifest.devDependencies ?? {})))
    })
    assert.deepEqual(undeclared.map(say), [])
  })

  test('no worker or file is named by a `.ts` URL, which the build would not rewrite', () => {
    const literal = sources.filter((name) => !isTest(name) && /new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(readTreeFile(name)))
    assert.deepEqual(literal, [], 'derive the extension from import.meta.url: sources end in .ts, the published files in .js')
  })
})

describe('the reader of imports', () => {
  test('sees every form and no comment', () => {
    const text = [
      `import { a } from './a.ts'`,
      `import type { B } from './b.ts'`,
      `export * from './c.ts'`,
      `import {\n  d,\n} from './d.ts'`,
      `import './e.ts'`,
      `const f = await import('./f.ts')`,
      `type G = import('./g.ts').G`,
      `// import './no.ts'`,
      `/* import './no.ts' */`,
    ].join('\n')
    assert.deepEqual(
      importsOf(text)
        .map((found) => path.basename(found.specifier, '.ts'))
        .join(''),
      'abcdefg',
    )
    assert.equal(importsOf(text).at(-1)?.line, 9)
  })

  test('finds a cycle', () => {
    assert.deepEqual(
      cycles(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['a']],
        ]),
      ),
      ['a -> b -> c -> a'],
    )
    assert.deepEqual(
      cycles(
        new Map([
          ['a', ['b', 'c']],
          ['b', ['c']],
          ['c', []],
        ]),
      ),
      [],
    )
  })
})

interface Manifest {
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
