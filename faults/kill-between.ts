// Kills a process between each pair of steps of what it does, and looks at what is left: nothing, or whole transactions in
// their order. What is whole is learned from a run that nobody disturbs.
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { changesSince, lastChange } from './changes.ts'
import type { At, StepProxy } from './step-proxy.ts'

export interface Deed<T> {
  readonly name: string
  /** keys are what it is about */
  readonly movesKeys?: boolean
  /** what it takes to do it once; nobody is killed here */
  prepare(): Promise<T>
  /** does it; may fail once the victim is gone */
  act(prepared: T): Promise<unknown>
  /** the process that is killed */
  victim(): ChildProcess | undefined
  /** Makes everything run again. */
  recover(): Promise<void>
  /**
   * Looks at what people see afterwards, and does it again as they would.
   * @param done how many of its transactions are there, and of how many
   */
  look(prepared: T, done: { readonly there: number; readonly of: number }): Promise<string[]>
}

export interface Between {
  readonly kills: number
  /** kills after which nothing of it was there, a part, or all */
  readonly outcomes: Readonly<Record<'before' | 'between' | 'after', number>>
  readonly misses: string[]
}

/** No deed has more steps; one that seems to has a loop. */
const MOST_STEPS = 200

/** Goes through all steps, each time killing one step later, until nobody had to be killed. */
export async function killBetween<T>(
  { proxy, pool }: { proxy: StepProxy; pool: pg.Pool },
  deed: Deed<T>,
): Promise<Between> {
  const outcomes = { before: 0, between: 0, after: 0 }
  const misses: string[] = []
  let kills = 0

  /** A running server makes keys by itself, at any moment. */
  const isOfDeed = (change: string) => deed.movesKeys || !/^\d+ × key published, \d+ × key\.published$/.test(change)

  const once = async (at: At, when: 'before' | 'after') => {
    const prepared = await deed.prepare()
    const mark = await lastChange(pool)
    const ended = new Promise<void>((resolve) => {
      proxy.arm(at, when, () => {
        const victim = deed.victim()!
        victim.once('exit', () => resolve())
        victim.kill('SIGKILL')
      })
    })
    await deed.act(prepared).catch(() => undefined)
    const { came, steps } = proxy.disarm()
    if (came) {
      await ended
      await settled(pool)
    }
    return { prepared, came, steps, changes: (await changesSince(pool, mark)).filter(isOfDeed) }
  }

  const whole = await once({ step: MOST_STEPS }, 'before')
  if (whole.came) throw new Error(`${deed.name} takes ${MOST_STEPS} steps or more`)
  if (whole.changes.length === 0) throw new Error(`${deed.name} changes nothing`)
  const all = { there: whole.changes.length, of: whole.changes.length }
  misses.push(...(await deed.look(whole.prepared, all)).map((miss) => `${deed.name}, undisturbed: ${miss}`))

  /** @returns whether the deed came so far */
  const killAt = async (at: At, when: 'before' | 'after'): Promise<boolean> => {
    const { prepared, came, changes } = await once(at, when)
    if (!came) return false
    kills++
    const there = changes.length
    const name = 'step' in at ? `step ${at.step} of ${whole.steps}` : `commit ${at.commit}`
    const where = `${deed.name}, killed ${when} ${name}`
    if (changes.join('; ') !== whole.changes.slice(0, there).join('; ')) {
      misses.push(`${where}: (b) half present: ${changes.join('; ')}, not the beginning of ${whole.changes.join('; ')}`)
    }
    outcomes[there === 0 ? 'before' : there < whole.changes.length ? 'between' : 'after']++
    await deed.recover()
    misses.push(...(await deed.look(prepared, { there, of: all.of })).map((miss) => `${where}: ${miss}`))
    return true
  }

  for (const when of ['before', 'after'] as const) {
    for (let step = 1; step < MOST_STEPS && (await killAt({ step }, when)); step++);
    // Steps of the victim's own move the count: each commit is met for certain when it is asked for.
    for (let commit = 1; commit < MOST_STEPS && (await killAt({ commit }, when)); commit++);
  }
  if (outcomes.after === 0) misses.push(`${deed.name}: no kill fell behind the last commit`)
  return { kills, outcomes, misses }
}

/** Waits until the database has carried out, or rolled back, what it got from a client that is gone. */
async function settled(pool: pg.Pool): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    const { rows } = await pool.query<{ busy: number }>(
      `select count(*)::int as busy from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
         and backend_type = 'client backend' and state <> 'idle'`,
    )
    if (rows[0]!.busy === 0) return
    await sleep(20)
  }
}
