// What the house tests read: the files of the tree as git sees them, and the imports of a TypeScript file.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from '../programs.ts'

/** Paths, relative to the root, of the files that are tracked or could be: everything but what .gitignore names. */
export function treeFiles(): readonly string[] {
  const output = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  const names = output.split('\0').filter((name) => name !== '' && existsSync(path.join(root, name)))
  return [...new Set(names)].toSorted()
}

export function readTreeFile(name: string): string {
  return readFileSync(path.join(root, name), 'utf8')
}

/** Tests, and what stands beside them for them: `*.fixture.ts`. None of it is built or published. */
export function isTest(name: string): boolean {
  return /\.(test|bench|fixture)\.tsx?$/.test(name)
}

export interface Import {
  readonly specifier: string
  readonly line: number
  /** Erased before the program runs. */
  readonly typeOnly: boolean
}

const IMPORT = /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]/g

/** Every import, re-export, dynamic import and `import('…')` type of a file. Commented lines do not count. */
export function importsOf(text: string): readonly Import[] {
  // Comments become spaces of the same number of lines, so that line numbers stay right.
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ' ')).replaceAll(/^\s*\/\/.*$/gm, '')
  return [...code.matchAll(IMPORT)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    line: code.slice(0, match.index).split('\n').length,
    typeOnly: /^(import|export)\s+type\b/.test(match[0]),
  }))
}
