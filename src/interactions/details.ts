// Reads the interaction that a page belongs to, and makes sure that it is this browser's.
import type Koa from 'koa'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { InteractionParts } from './parts.ts'

type EngineResult = Parameters<Provider['interactionResult']>[2]

export interface InteractionDetails {
  readonly uid: string
  readonly clientId: string
  /** the stored request; nothing of it is ever read from the page's address */
  readonly params: Readonly<Record<string, unknown>>
  readonly prompt: { readonly name: string }
  readonly session?: { readonly accountId: string }
  readonly grantId?: string
  /** Tells the engine the result and sends the browser back to it. */
  finish(result: EngineResult, options?: { mergeWithLastSubmission?: boolean }): Promise<void>
}

/**
 * @throws SessionNotFound when the interaction is over, expired, or belongs to another browser
 */
export async function readInteraction({ provider }: InteractionParts, ctx: Koa.Context): Promise<InteractionDetails> {
  const engine = provider()
  const found = await engine.interactionDetails(ctx.req, ctx.res)
  // The engine goes by the cookie alone; the page's address must name the same interaction.
  if (found.uid !== ctx.params.uid) throw new errors.SessionNotFound('interaction of another page')
  return {
    uid: found.uid,
    clientId: String(found.params.client_id),
    params: found.params,
    prompt: found.prompt,
    session: found.session && { accountId: found.session.accountId },
    grantId: found.grantId,
    async finish(result, options = { mergeWithLastSubmission: false }) {
      const returnTo = await engine.interactionResult(ctx.req, ctx.res, result, options)
      // 303, so that the browser does not post the password on (RFC 9700 section 4.12).
      ctx.redirect(returnTo)
      ctx.status = 303
    },
  }
}

/** @returns where the person goes after this interaction: forms of its pages may lead there */
export function redirectTarget(details: InteractionDetails): string[] {
  const uri = details.params.redirect_uri
  return typeof uri === 'string' ? [uri] : []
}
