// Ending trust by name: a login session, a grant, what a person has allowed an app. Each act is one unit of work with its
// audit entry; what sessions, grants and tokens are is other rooms' business, whose functions are handed in.
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { Endings } from './end.ts'

export interface WithdrawParts {
  readonly unit: UnitOfWork
  readonly audit: Audit
  readonly endNamed: Endings['endNamed']
  /** @returns the grants that end with the session, by id; undefined when there is no such session */
  readonly endSession: (
    uid: string,
  ) => Promise<{ readonly accountId?: string; readonly grants: readonly string[] } | undefined>
  /** Ends a grant and all that hangs on it. @returns false when there is no such grant */
  readonly endGrant: (id: string, reason: string) => Promise<boolean>
  /** @returns the ids of the grants that an account has given, with their clients */
  readonly grantsOf: (accountId: string) => Promise<readonly { readonly id: string; readonly clientId: string }[]>
  /** Forgets a remembered decision. @returns false when there was none */
  readonly forgetConsent: (accountId: string, clientId: string) => Promise<boolean>
}

/** `actor` is who acts, as in the audit. Each answers false when there is nothing of that name. */
export interface Withdraw {
  /** Ends a login session, and what ends with it as at a sign-out. @param uid the session's name */
  session(uid: string, actor: string): Promise<boolean>
  /** Ends a grant with its codes and tokens. */
  grant(id: string, actor: string): Promise<boolean>
  /** Withdraws what a person has allowed an app: the remembered decision, and every grant with its codes and tokens. */
  consent(accountId: string, clientId: string, actor: string): Promise<boolean>
}

/** @returns the acts that end trust by name */
export function createWithdraw(parts: WithdrawParts): Withdraw {
  const { unit, audit, endNamed, endSession, endGrant, grantsOf, forgetConsent } = parts
  return {
    session: (uid, actor) =>
      unit.run(async () => {
        const ended = await endSession(uid)
        if (!ended) return false
        await endNamed('session', uid, 'revoked')
        for (const id of ended.grants) await endGrant(id, 'session-ended')
        await audit({ kind: 'session.ended', actor, subject: ended.accountId, detail: { session: uid } })
        return true
      }),

    grant: (id, actor) =>
      unit.run(async () => {
        if (!(await endGrant(id, 'revoked'))) return false
        await audit({ kind: 'grant.ended', actor, subject: id, detail: { reason: 'revoked' } })
        return true
      }),

    consent: (accountId, clientId, actor) =>
      unit.run(async () => {
        const remembered = await forgetConsent(accountId, clientId)
        const given = (await grantsOf(accountId)).filter((grant) => grant.clientId === clientId)
        let ended = 0
        for (const { id } of given) if (await endGrant(id, 'consent-withdrawn')) ended += 1
        if (!remembered && ended === 0) return false
        await audit({ kind: 'consent.withdrawn', actor, subject: accountId, detail: { client: clientId } })
        return true
      }),
  }
}
