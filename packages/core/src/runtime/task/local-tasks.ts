// The tasks that run on this thread, and the progress board that they share.
import type { TaskEnvironment } from '../environment.ts'
import { ProgressBoard } from '../exchange/progress-board.ts'
import { boardParts } from '../exchange/board-parts.ts'
import { taskReport } from '../status.ts'
import type { TableQuestion, TableSlice, TaskFailure, TaskHost, TaskReport } from '../task-host.ts'
import { readSlices } from '../table-reader.ts'
import { Task } from './task.ts'

export class LocalTasks implements TaskHost {
  readonly #tasks: readonly Task[]
  readonly #environment: TaskEnvironment

  private constructor(environment: TaskEnvironment, tasks: readonly Task[]) {
    this.#environment = environment
    this.#tasks = tasks
  }

  /** Makes the tasks of all parts for the groups that `mine` chooses. */
  static async open(given: Omit<TaskEnvironment, 'board'>, mine: (group: number) => boolean): Promise<LocalTasks> {
    const board = new ProgressBoard(given.log, boardParts(given.topology), { clock: given.clock, owns: mine })
    await board.open()
    const environment = { ...given, board }
    const tasks = given.topology.parts.flatMap((part) =>
      Array.from({ length: part.groups }, (_, group) => group)
        .filter(mine)
        .map((group) => new Task(environment, part, group)),
    )
    return new LocalTasks(environment, tasks)
  }

  start(): void {
    for (const task of this.#tasks) task.start()
  }

  async ready(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.ready()))
  }

  async ended(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.ended()))
  }

  reports(): readonly TaskReport[] {
    return this.#tasks.map(taskReport)
  }

  failures(): readonly TaskFailure[] {
    return this.#tasks.flatMap(({ phase, error }) => (phase === 'failed' || phase === 'paused' ? [{ phase, error }] : []))
  }

  readTable({ table, part, store, query }: TableQuestion): Promise<readonly TableSlice[]> {
    const tasks = this.#tasks.filter((task) => task.part.name === part)
    return readSlices({ name: table, store, tasks, turn: () => this.#environment.scheduler.turn() }, query)
  }

  async stop(part: string): Promise<void> {
    for (const task of this.#tasks) if (task.part.name === part) await task.stop()
  }

  async close(): Promise<void> {
    this.#environment.board.close()
    await Promise.resolve()
  }

  abandon(): void {
    for (const task of this.#tasks) task.abandon()
    this.#environment.board.close()
  }
}
