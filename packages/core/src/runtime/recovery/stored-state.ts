// What the changelog of a task says before anything is restored.
import type { SubTopology } from '../../compile/topology.ts'
import type { MillraceError } from '../../base/errors.ts'
import { layoutOf } from '../../state/rows/layout.ts'
import { ChangelogReader, type RestoreEnvironment } from './changelog-reader.ts'
import { ChangelogSurvey } from './changelog-survey.ts'
import type { CommitState } from './commit-state.ts'
import { isDamage, stateDamaged } from './damage.ts'
import type { RebuildOrder } from './rebuild-order.ts'
import { snapshotSlices } from './snapshot.ts'

export interface StoredState {
  /** The layout of a store that the part still has is another than the stored one. */
  readonly isChanged: boolean
  /** Why the state cannot be restored; null when it can. */
  readonly damage: MillraceError | null
  readonly last: CommitState | null
  readonly order: RebuildOrder | null
  readonly isOrderOpen: boolean
}

/** Looks at the stored state of a task. With `isWhole` it is read to the end, else only what names it. */
export async function storedState(
  environment: RestoreEnvironment,
  part: SubTopology,
  group: number,
  isWhole: boolean,
): Promise<StoredState> {
  const survey = await ChangelogSurvey.of(new ChangelogReader(environment, part.name, group))
  const wanted = new Map(part.stores.map((spec) => [spec.name, layoutOf(spec.name, spec.key, spec.value).id]))
  const isChanged = survey.layouts.some(({ store, id }) => wanted.has(store) && wanted.get(store) !== id)
  const { last, order, isOrderOpen } = survey
  const damage = isWhole && !isOrderOpen ? await findDamage(environment, part, group, survey) : null
  return { isChanged, damage, last, order, isOrderOpen }
}

/** Reads what a restore would read, and keeps nothing of it. */
async function findDamage(
  environment: RestoreEnvironment,
  part: SubTopology,
  group: number,
  survey: ChangelogSurvey,
): Promise<MillraceError | null> {
  const damaged = new Set<number>()
  const named = (error: MillraceError): MillraceError => stateDamaged(`${part.name}/${group}`, environment.plan.pipeline, error)
  for (;;) {
    const snapshot = survey.base(damaged)
    try {
      for (const { from, to } of snapshot?.stores ?? [])
        for (const _ of await snapshotSlices(environment, part.name, group, from, to)) await environment.scheduler.turn()
      const harmful = survey.harmful(snapshot?.changelogFrom ?? 0)
      return harmful === null ? null : named(harmful.error)
    } catch (error) {
      if (!isDamage(error) || snapshot === null) throw error
      damaged.add(snapshot.changelogFrom)
      if (!survey.suffices(damaged)) return named(error)
    }
  }
}
