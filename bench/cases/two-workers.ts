// Two workers on two partitions against one worker, over the same backlog.
import { type BenchCase, Missing } from '../support/case.ts'

const reason = 'a pipeline runs its tasks in one thread; there are no worker threads yet'

export const benchCase: BenchCase = {
  name: 'two-workers',
  summary: 'two workers on two partitions of a backlog, against one',
  bars: [{ name: 'two-workers', figure: 'ratio', unit: '× one worker', must: 1.6, aim: 1.9 }],
  everyCore: true,
  own: () => Promise.reject(new Missing(reason)),
  obvious: () => Promise.reject(new Missing(reason)),
}
