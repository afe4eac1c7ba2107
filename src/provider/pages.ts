// The engine's own pages, in the house style: errors that cannot go back to the app, sign-out, signed out.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { errors } from 'oidc-provider'
import { showPage } from '../http/show-page.ts'

interface ErrorOut {
  readonly error: string
  readonly error_description?: string
}

/** The engine's `renderError`: an error page for people, where no redirect back to the app is safe or possible. */
export async function renderError(ctx: KoaContextWithOIDC, out: ErrorOut, error: Error): Promise<void> {
  const requestId = String(ctx.state.requestId ?? '')
  if (error instanceof errors.SessionNotFound) {
    showPage(ctx, 'expired', { requestId }, { status: ctx.status })
    return
  }
  const words = ctx.status >= 500 ? OUR_FAULT : (WORDS[out.error] ?? refusedWords(out))
  showPage(ctx, 'error', { ...words, requestId, code: out.error }, { status: ctx.status })
}

const OUR_FAULT = {
  title: 'Something went wrong',
  what: 'This is our fault, not yours. It has been noted.',
  whatToDo: 'Try again in a minute. If it happens again, tell the operator the request id below.',
}

const APP_FAULT = 'Go back to the app and try again. If it happens again, tell the people who make the app.'

const WORDS: Record<string, { title: string; what: string; whatToDo: string }> = {
  invalid_client: {
    title: 'We do not know this app',
    what: 'The app that sent you here is not registered, or has been switched off.',
    whatToDo: APP_FAULT,
  },
  invalid_redirect_uri: {
    title: 'This app cannot be trusted with the answer',
    what: 'The app asked to send you to an address that it has not registered. You stay here, so that nobody gets your sign-in.',
    whatToDo: APP_FAULT,
  },
}

function refusedWords(out: ErrorOut): { title: string; what: string; whatToDo: string } {
  return {
    title: 'The app asked for something we cannot do',
    what: out.error_description
      ? `It sent a request that is not valid: ${out.error_description}.`
      : 'It sent a request that is not valid.',
    whatToDo: APP_FAULT,
  }
}

/** The engine's `logoutSource`: asks before signing out. */
export async function showSignOut(ctx: KoaContextWithOIDC, formHtml: string): Promise<void> {
  const back = ctx.oidc.params?.post_logout_redirect_uri
  showPage(
    ctx,
    'signOut',
    { formHtml, appName: ctx.oidc.client?.clientName },
    {
      formAction: typeof back === 'string' ? [back] : [],
    },
  )
}

/** The engine's `postLogoutSuccessSource`. */
export async function showSignedOut(ctx: KoaContextWithOIDC): Promise<void> {
  showPage(ctx, 'signedOut', { appName: ctx.oidc.client?.clientName })
}
