// `millrace dev FILE`: from the start of the process to the first result that a user can see.
import { type BenchCase, Missing } from '../support/case.ts'

const reason = 'there is no `millrace dev` yet'

export const benchCase: BenchCase = {
  name: 'dev-start',
  summary: 'from the start of `millrace dev FILE` to the first result',
  bars: [{ name: 'dev-start', figure: 'seconds', unit: 's', must: 2, aim: 1, better: 'less' }],
  everyCore: true,
  own: () => Promise.reject(new Missing(reason)),
  obvious: () => Promise.reject(new Missing(reason)),
}
