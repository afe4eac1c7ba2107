// What is known of the request at hand, where the engine calls us without its context.
import Provider from 'oidc-provider'

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
 * Authorization requests that found their pushed request used, with nobody having signed in meanwhile: they have nothing to
 * say about the session, and many at once would queue for it, one after the other.
 */
const late = new WeakSet<object>()

/** Notes that the request at hand found its pushed request used, if it begins an authorization. */
export function noteTooLate(): void {
  if (routeAtHand() === 'authorization') late.add(Provider.ctx!)
}

/** @returns whether the request at hand has nothing to say about the session */
export function cameTooLate(): boolean {
  return late.has(Provider.ctx!)
}
