// The pipeline of the case two-workers as a module that worker threads import; its name comes with the module's URL.
import { aggregateByExpression } from './aggregate.ts'

export default aggregateByExpression(new URL(import.meta.url).searchParams.get('id') ?? 'two-workers')
