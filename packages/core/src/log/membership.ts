// Task groups for logs that live in one process: all members of a domain share its groups evenly, and a group has one owner at a time.
//
// A change runs in two steps, one change after the other: first everybody gives up what he loses and is waited for (he drains and commits),
// then everybody is told what he gains. Groups stay where they are unless balance moves them. A member whose callback fails is out: his
// groups go to the others, and his `leave` rejects with the failure.
import { assert } from '../base/assert.ts'
import type { Membership, MembershipOptions } from './log.ts'

interface Member {
  readonly options: MembershipOptions
  /** What the member was told last. */
  groups: readonly number[]
  present: boolean
  failure: unknown
}

export class MembershipBoard {
  readonly #domains = new Map<string, Domain>()

  /** Resolves when the member has been told its first groups. Rejects when its callback does. */
  async join(options: MembershipOptions): Promise<Membership> {
    assert(Number.isInteger(options.groups) && options.groups > 0, () => `a domain has at least one group, not ${options.groups}`)
    const domain = this.#domains.get(options.domain) ?? new Domain(options.groups)
    this.#domains.set(options.domain, domain)
    const member = await domain.add(options)
    return {
      leave: async () => {
        await domain.remove(member)
        if (domain.isEmpty && this.#domains.get(options.domain) === domain) this.#domains.delete(options.domain)
        if (member.failure !== null) throw member.failure
      },
    }
  }
}

class Domain {
  readonly #groups: number
  #members: Member[] = []
  #lastChange: Promise<void> = Promise.resolve()

  constructor(groups: number) {
    this.#groups = groups
  }

  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  async add(options: MembershipOptions): Promise<Member> {
    assert(options.groups === this.#groups, () => `domain ${options.domain} has ${this.#groups} groups, not ${options.groups}`)
    const member: Member = { options, groups: [], present: true, failure: null }
    this.#members.push(member)
    await this.#rebalance()
    if (member.failure !== null) throw member.failure
    return member
  }

  async remove(member: Member): Promise<void> {
    member.present = false
    this.#members = this.#members.filter((other) => other !== member)
    await this.#rebalance()
  }

  #rebalance(): Promise<void> {
    this.#lastChange = this.#lastChange.then(() => this.#change())
    return this.#lastChange
  }

  async #change(): Promise<void> {
    const targets = this.#targets()
    const remaining = (member: Member) => member.groups.filter((group) => targets.get(member)?.includes(group))
    await Promise.all([...targets.keys()].map((member) => this.#tell(member, remaining(member))))
    await Promise.all(Array.from(targets, ([member, groups]) => this.#tell(member, groups)))
    // A callback failed: its member is out, so the others share what it had.
    if ([...targets.keys()].some((member) => member.failure !== null && this.#members.includes(member))) {
      this.#members = this.#members.filter((member) => member.failure === null)
      await this.#change()
    }
  }

  /** Who shall own what: everybody keeps as much as his share allows, what is left goes to those with fewest. */
  #targets(): Map<Member, number[]> {
    const members = this.#members
    const targets = new Map<Member, number[]>()
    const taken = new Set<number>()
    const share = Math.floor(this.#groups / Math.max(members.length, 1))
    let larger = this.#groups % Math.max(members.length, 1)
    for (const member of members) {
      const most = larger > 0 && member.groups.length > share ? share + 1 : share
      if (most > share) larger--
      const kept = member.groups.slice(0, most)
      for (const group of kept) taken.add(group)
      targets.set(member, kept)
    }
    for (let group = 0; group < this.#groups && members.length > 0; group++) {
      if (taken.has(group)) continue
      let fewest: number[] | null = null
      for (const groups of targets.values()) if (fewest === null || groups.length < fewest.length) fewest = groups
      fewest?.push(group)
    }
    for (const groups of targets.values()) groups.sort((a, b) => a - b)
    return targets
  }

  async #tell(member: Member, groups: readonly number[]): Promise<void> {
    const same = groups.length === member.groups.length && groups.every((group, index) => group === member.groups[index])
    if (same || !member.present || member.failure !== null) return
    member.groups = groups
    try {
      await member.options.onAssigned(groups)
    } catch (failure) {
      member.failure = failure ?? new Error('onAssigned failed without a reason')
    }
  }
}
