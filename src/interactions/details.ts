// Reads the interaction that a page belongs to, and makes sure that it is this browser's.
import type Koa from 'koa'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import type { Client } from '../clients/client.ts'
import type { InteractionParts } from './parts.ts'

type EngineResult = Parameters<Provider['interactionResult']>[2]

/** What the pages can have told the engine. */
export interface Answer {
  readonly login?: { readonly accountId: string }
  readonly consent?: { readonly grantId?: string }
  readonly error?: string
}

export interface InteractionDetails {
  readonly uid: string
  readonly client: Client
  /** the stored request; nothing of it is ever read from the page's address */
  readonly params: Readonly<Record<string, unknown>>
  readonly prompt: { readonly name: string }
  readonly session?: { readonly accountId: string; readonly uid: string }
  /**
   * Holds the interaction for the rest of the unit of work. Of many answers to one page one has it at a time.
   * @param isSame whether an answer that was there before is the one that is about to be given
   * @returns false when that is so: there is nothing left to do but `goOn`
   * @throws SessionNotFound when it is over: an answer that comes late must not bring it back
   */
  claim(isSame: (answer: Answer) => boolean): Promise<boolean>
  /** Sends the browser back to the engine with the answer that is there. */
  goOn(): void
  /** Tells the engine the result and sends the browser back to it. */
  finish(result: EngineResult, options?: { mergeWithLastSubmission?: boolean }): Promise<void>
}

/**
 * @throws SessionNotFound when the interaction is over, expired, or belongs to another browser, or its app is gone
 */
export async function readInteraction(
  { provider, interactions, findClient }: InteractionParts,
  ctx: Koa.Context,
): Promise<InteractionDetails> {
  const engine = provider()
  const found = await engine.interactionDetails(ctx.req, ctx.res)
  // The engine goes by the cookie alone; the page's address must name the same interaction.
  if (found.uid !== ctx.params.uid) throw new errors.SessionNotFound('interaction of another page')
  const client = await findClient(String(found.params.client_id))
  if (!client || client.disabledAt) throw new errors.SessionNotFound('client is gone')
  return {
    uid: found.uid,
    client,
    params: found.params,
    prompt: found.prompt,
    session: found.session && { accountId: found.session.accountId, uid: found.session.uid },
    async claim(isSame) {
      const isAnswered = ({ result }: { result?: Answer }) => result !== undefined && isSame(result)
      const held = await interactions.lock(found.uid, isAnswered)
      if (!held) throw new errors.SessionNotFound('interaction is over')
      return !isAnswered(held)
    },
    goOn: () => seeOther(ctx, found.returnTo),
    async finish(result, options = { mergeWithLastSubmission: false }) {
      seeOther(ctx, await engine.interactionResult(ctx.req, ctx.res, result, options))
    },
  }
}

/** 303, so that the browser does not post the password on (RFC 9700 section 4.12). */
export function seeOther(ctx: Koa.Context, to: string): void {
  ctx.redirect(to)
  ctx.status = 303
}

/** @returns where the person goes after this interaction: forms of its pages may lead there */
export function redirectTarget(details: InteractionDetails): string[] {
  const uri = details.params.redirect_uri
  return typeof uri === 'string' ? [uri] : []
}
