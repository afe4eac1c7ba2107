// The owner file beside the database: which process stops the server. It is no lock (postmaster.pid is the only one) and is
// changed only inside `whileDeciding`.
import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatorFault } from '../vocabulary/fault.ts'
import { isRunning, markProcess, type ProcessMark } from './processes.ts'
import { writeWhole } from './write-whole.ts'

export type Role = 'server' | 'command'

export interface Owner extends ProcessMark {
  /** tells two launches of one process apart */
  readonly id: string
  readonly role: Role
  /** when it came to own the server, ISO 8601 */
  readonly since: string
  /** the folder this file was written for; a copy of the folder brings the file along, and it means nothing there */
  readonly base: string
}

/** @returns this process as an owner to be */
export function newOwner(base: string, role: Role, now: Date): Owner {
  return { ...markProcess(process.pid), id: randomUUID(), role, since: now.toISOString(), base }
}

/** @returns the owner, if it still runs */
export async function livingOwner(base: string): Promise<Owner | undefined> {
  const owner = await readOwner(base)
  return owner && owner.base === base && isRunning(owner) ? owner : undefined
}

export type Claim = 'owner' | 'adopter' | 'successor' | 'guest'

/**
 * Claims the server, to be called inside `whileDeciding`.
 * @returns `owner`: nobody was; `adopter`: the last owner died; `successor`: a command was, and a server takes over;
 *   `guest`: somebody else is, and stays it
 * @throws OperatorFault for a second server
 */
export async function claimOwnership(me: Owner): Promise<Claim> {
  const before = await readOwner(me.base)
  const living = await livingOwner(me.base)
  if (living) refuseSecondServer(living, me.role)
  if (living && (living.role === 'server' || me.role === 'command')) return 'guest'
  await writeWhole(fileIn(me.base), `${JSON.stringify(me, null, 2)}\n`)
  if (living) return 'successor'
  return before ? 'adopter' : 'owner'
}

/** @throws OperatorFault if `role` is a server, and one already runs on this database */
export function refuseSecondServer(living: Owner, role: Role): void {
  if (role !== 'server' || living.role !== 'server') return
  throw new OperatorFault(
    `Gatehouse already runs on ${living.base}: process ${living.pid}, since ${living.since}. One server owns an embedded database.`,
    `Stop it first ("kill ${living.pid}"), give this one another GATEHOUSE_DATA_DIR, or let both use one DATABASE_URL.`,
  )
}

/** @returns whether `me` is still the owner, or nobody is any more */
export async function mayStop(me: Owner): Promise<boolean> {
  const owner = await readOwner(me.base)
  return owner?.id === me.id || (await livingOwner(me.base)) === undefined
}

/** Removes the owner file: from now on nobody owns the server. */
export async function giveUpOwnership(base: string): Promise<void> {
  await rm(fileIn(base), { force: true })
}

async function readOwner(base: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(fileIn(base), 'utf8')) as Owner
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || code === 'ENOENT') return undefined // not JSON: nobody can be held to it
    throw error
  }
}

function fileIn(base: string): string {
  return join(base, 'owner.json')
}
