// The authorizer as a function from event to answer: event, authorize, policy, reply, left to right.
import { createAccessTokenVerifier } from '../verifier/access-token.ts'
import { createKeySet } from '../verifier/key-set.ts'
import { createJwksLoader } from '../verifier/load-jwks.ts'
import { createRemoteKeySet } from '../verifier/remote-key-set.ts'
import { authorize } from './authorize.ts'
import type { AuthorizerSettings } from './config.ts'
import { isHttpEvent, readEvent } from './event.ts'
import { decisionEntry, type Log, type LogEntry, writeLine } from './log.ts'
import { createPolicyCompiler } from './policy.ts'
import { reply } from './reply.ts'

export interface HandlerParts {
  readonly now?: () => Date
  /** takes each line; default standard output */
  readonly log?: Log
}

/**
 * Builds the authorizer once; keys and compiled policies stay warm between calls of the function it returns.
 * @param settings as `readSettings` gives them, or handed in by a local gateway
 * @returns the Lambda handler for REST REQUEST and HTTP API 2.0 events. It throws `Unauthorized` for a REST 401 and for an
 *   event it does not understand; after a fault of its own it refuses, and the log says why
 * @throws TypeError for settings that `readSettings` would refuse
 */
export function createHandler(
  settings: AuthorizerSettings,
  { now = () => new Date(), log = writeLine }: HandlerParts = {},
): (event: unknown) => Promise<object> {
  const { issuer, audience, routes, jwks, httpUnauthorized = 'deny' } = settings
  if (!audience) throw new TypeError('An authorizer needs an audience')
  const line = (level: LogEntry['level'], msg: LogEntry['msg'], detail: string) => {
    try {
      log({ time: now().toISOString(), level, msg, detail })
    } catch {
      // A broken log must not turn a refusal into something else.
    }
  }
  const keys = jwks
    ? createKeySet(jwks)
    : createRemoteKeySet({ load: createJwksLoader(issuer), now, warn: (text) => line('warn', 'keys', text) })
  const verify = createAccessTokenVerifier({ issuer, audience, keys, now })
  const compile = createPolicyCompiler(routes)

  return async function handler(event) {
    try {
      const call = readEvent(event)
      if (!call) throw new Error('The event is neither a REST REQUEST nor an HTTP API 2.0 authorizer event')
      const authorization = await authorize({ routes, verify }, call)
      log(decisionEntry(now(), call, authorization))
      const answer = reply({ compile, httpUnauthorized }, call, authorization)
      if (answer) return answer
    } catch (error) {
      line('error', 'fault', error instanceof Error ? error.message : 'unknown')
      if (isHttpEvent(event)) return { isAuthorized: false, context: { reason: 'unavailable' } }
    }
    throw new Error('Unauthorized') // a REST API answers exactly this text with 401
  }
}
