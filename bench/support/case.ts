// What a benchmark case is. A case does no reporting: it makes its data, runs once, and says what it measured and what came out.
//
// Phases, each in a fresh process (in --quick all in one): `fixture` once for all cases that share it, then per run `own`, then `obvious`:
// a slow computation of the same answer by plain means, which is also the baseline where a bar has one. A figure counts only when both
// answers are equal.

/** What one phase measured and what it computed. */
export interface Measured {
  readonly figures: Readonly<Record<string, number>>
  /** Everything that must be right, as a short text: counts and digests. */
  readonly answer: string
}

export interface BenchContext {
  /** Folder of the fixture, or an empty one; shared by all phases of the case. */
  readonly folder: string
  readonly quick: boolean
  /** 0 for the first run. Names that must be new in each run end with it. */
  readonly run: number
}

export interface Bar {
  readonly name: string
  /** Figure of `own` that the bar shows. */
  readonly figure: string
  readonly unit: string
  readonly must: number
  readonly aim: number
  /** Default `more`. */
  readonly better?: 'more' | 'less'
  /** True: left out where the case cannot measure it on this machine (an optional package). Default false. */
  readonly optional?: boolean
  /** Figure of `obvious` beside it. With `ratio` the bar's value is own / baseline. */
  readonly baseline?: { readonly name: string; readonly figure: string; readonly ratio?: boolean }
}

/** Data that several cases read and none changes. */
export interface Fixture {
  readonly name: string
  readonly make: (folder: string, quick: boolean) => Promise<void>
}

export interface BenchCase {
  readonly name: string
  /** One sentence: what is measured. */
  readonly summary: string
  readonly bars: readonly Bar[]
  readonly fixture?: Fixture
  /** Runs of the full form. Default 5. */
  readonly runs?: number
  /** True: the measured process may use every core (the case places its own processes). Default false: one core. */
  readonly everyCore?: boolean
  readonly own: (context: BenchContext) => Promise<Measured>
  readonly obvious: (context: BenchContext) => Promise<Measured>
}

/** Thrown by a case whose subject does not exist yet. The bar is printed without a value and counts as falling short. */
export class Missing extends Error {
  override readonly name = 'Missing'
}
