// The engine's auto-submitting page (form_post responses, switching accounts) runs a script. Ours has a button instead.
import type { Middleware } from 'koa'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { showPage } from '../http/show-page.ts'

const MARK = '<title>Submitting Callback</title>'

/** @returns middleware for `provider.use` that redraws the engine's page */
export function formPostPage(issuer: string): Middleware {
  return async (ctx, next) => {
    await next()
    if (typeof ctx.body !== 'string' || !ctx.body.includes(MARK)) return
    const { action, fields } = readEnginePage(ctx.body)
    // After a switch of accounts the form leads on to the app, by redirect, if nothing is left to ask.
    const onward = (ctx as unknown as KoaContextWithOIDC).oidc?.entities.Interaction?.params.redirect_uri
    const formAction = typeof onward === 'string' ? [action, onward] : [action]
    const own = URL.parse(action)?.origin === issuer
    showPage(ctx, 'formPost', { action, fields, own }, { status: ctx.status, formAction })
  }
}

/** @returns where the engine's form leads and what it carries */
function readEnginePage(html: string): { action: string; fields: Record<string, string> } {
  const action = /<form method="post" action="([^"]*)">/.exec(html)?.[1]
  if (action === undefined) throw new Error('the engine has changed its form_post page')
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)
  return {
    action: unescapeHtml(action),
    fields: Object.fromEntries([...inputs].map((input) => [input[1], unescapeHtml(input[2]!)])),
  }
}

const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" }

function unescapeHtml(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]!)
}
