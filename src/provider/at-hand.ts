// What is known of the request at hand, where the engine calls us without its context.
import Provider, { errors } from 'oidc-provider'

/** @returns the engine's name of the endpoint */
export function routeAtHand(): string | undefined {
  return Provider.ctx?.oidc.route
}

/** @returns the parameters that our decisions hang on */
export function paramsAtHand(): { code?: string; logout?: string } {
  return (Provider.ctx?.oidc.params ?? {}) as { code?: string; logout?: string }
}

/** @returns whether a person has confirmed to sign out */
export function isSigningOut(): boolean {
  return routeAtHand() === 'end_session_confirm' && Boolean(paramsAtHand().logout)
}

/** Who the audit entry names: the client that calls, else the account of the session. */
export function actorAtHand(): string {
  const oidc = Provider.ctx?.oidc
  if (oidc?.client) return `client:${oidc.client.clientId}`
  return oidc?.session?.accountId ?? 'anonymous'
}

/**
 * Requests whose code, session or pushed request was used or ended before. They must not save the session: many at once would
 * queue for its row.
 */
const late = new WeakSet<object>()

/** Notes that the request at hand found its pushed request used, if it begins an authorization: nobody has signed in meanwhile. */
export function noteTooLate(): void {
  if (routeAtHand() === 'authorization') late.add(Provider.ctx!)
}

/** Rolls back what the request at hand has written, because what it stood on is over. @returns what to throw */
export function abandonAsOver({ abandon }: { readonly abandon: () => void }, what: string): Error {
  abandon()
  if (Provider.ctx) late.add(Provider.ctx)
  return new errors.SessionNotFound(what)
}

/** @returns whether the request at hand has nothing to say about the session */
export function cameTooLate(): boolean {
  return late.has(Provider.ctx!)
}
