// The engine authenticates the caller of introspection and revocation, then refuses every JWT. Its refusal is replaced here
// by the answer for our own JWT access tokens (RFC 7662, RFC 7009).
import type { Middleware } from 'koa'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { mayIntrospect } from './introspection-policy.ts'
import { jktOf, type OwnClaims, type OwnJwts } from './own-jwt.ts'
import type { ProviderParts } from './parts.ts'

/** @returns middleware for `provider.use`, to be registered before the engine is composed */
export function jwtEndpoints(jwts: OwnJwts, { audit }: Pick<ProviderParts, 'audit'>): Middleware {
  return async (ctx, next) => {
    await next()
    const oidc = (ctx as unknown as KoaContextWithOIDC).oidc
    if (!isRefusedJwt(ctx.body) || !oidc?.client) return
    const token = (oidc.params as { token: string }).token
    if (oidc.route === 'introspection') {
      ctx.status = 200
      ctx.body = await introspect(oidc.client, token)
    } else if (oidc.route === 'revocation') {
      const claims = await jwts.verify(token)
      if (claims?.client_id === oidc.client.clientId && (await jwts.revoke(claims))) {
        await audit({ kind: 'token.revoked', actor: `client:${oidc.client.clientId}`, subject: claims.sub })
      }
      ctx.status = 200
      ctx.body = ''
      ctx.remove('Content-Type') // left over from the refusal, which was JSON
    }
  }

  async function introspect(caller: { clientId: string }, token: string): Promise<object> {
    const claims = await jwts.verify(token)
    const allowed = claims && mayIntrospect(caller as never, { clientId: claims.client_id, aud: claims.aud })
    return allowed && (await jwts.stands(claims)) ? answer(claims) : { active: false }
  }
}

function answer({ gid, fid, epoch, kid, ...claims }: OwnClaims): object {
  // Whoever asks must see that the token alone is not enough (RFC 9449 section 6.2).
  const type = jktOf(claims) === undefined ? 'Bearer' : 'DPoP'
  return { active: true, token_type: type, ...claims }
}

function isRefusedJwt(body: unknown): boolean {
  return typeof body === 'object' && body !== null && (body as { error?: string }).error === 'unsupported_token_type'
}
