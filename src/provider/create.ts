// Builds the engine from its parts, and holds it in a way that lets a new one take over between two requests.
import type Koa from 'koa'
import compose from 'koa-compose'
import Provider from 'oidc-provider'
import { cacheHeaders } from './cache-headers.ts'
import { noteFault, throwFaults } from './faults.ts'
import { formPostPage } from './form-post.ts'
import { jwtEndpoints } from './jwt-endpoints.ts'
import { nullOrigin } from './null-origin.ts'
import { engineOptions } from './options.ts'
import { applyOverrides } from './overrides.ts'
import { createOwnJwts } from './own-jwt.ts'
import type { ProviderParts } from './parts.ts'
import { refusals } from './refusals.ts'

export interface Engine {
  /** the engine at hand, for the pages of an interaction */
  readonly provider: () => Provider
  /** answers the protocol's endpoints */
  readonly run: Koa.Middleware
  /** Takes new parts, such as rotated keys. Requests under way finish on the old engine. */
  rebuild(parts: ProviderParts): void
}

/** @returns the engine, behind a holder */
export function createEngine(parts: ProviderParts): Engine {
  let current = build(parts)
  // Some of what the engine holds is made from the ring: with another version of it, another engine takes over.
  const built = () => {
    if (current.ringVersion !== current.parts.ring.version) current = build(current.parts)
    return current
  }
  return {
    provider: () => built().provider,
    run: (ctx, next) => built().run(ctx, next),
    rebuild(next) {
      current = build(next)
    },
  }
}

interface Built {
  readonly parts: ProviderParts
  readonly ringVersion: number
  readonly provider: Provider
  readonly run: Koa.Middleware
}

function build(parts: ProviderParts): Built {
  const ringVersion = parts.ring.version
  const provider = new Provider(parts.issuer, engineOptions(parts))
  const jwts = createOwnJwts(parts)
  applyOverrides(provider, parts, jwts)
  provider.use(throwFaults())
  provider.use(cacheHeaders())
  provider.use(nullOrigin())
  provider.use(formPostPage(parts.issuer))
  provider.use(refusals(parts.issuer))
  provider.use(jwtEndpoints(jwts, parts))
  provider.on('server_error', noteFault)
  // `middleware` is Koa's own list; the typings hide it.
  const { middleware } = provider as unknown as { middleware: Koa.Middleware[] }
  return { parts, ringVersion, provider, run: compose(middleware) as Koa.Middleware }
}
