// Forms carry a token that a foreign site cannot know, and must come from our own pages.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type Koa from 'koa'
import { Problem } from './problem.ts'

/** How a form's token is made and checked. */
export interface Csrf {
  /** @returns the token for a form about `subject`, for example an interaction's id */
  issue(ctx: Koa.Context, subject: string): string
  /** @throws Problem 403 when the form did not come from our page in this browser */
  check(ctx: Koa.Context, subject: string, presented: unknown): void
}

/**
 * @param parts `hmacs` binds a value under the keys of the server, that of new forms first
 */
export function createCsrf({
  origin,
  secure,
  hmacs,
}: {
  origin: string
  secure: boolean
  hmacs: (value: string) => readonly [Buffer, ...Buffer[]]
}): Csrf {
  const cookieName = secure ? '__Host-gatehouse-form' : 'gatehouse-form'

  function browserOf(ctx: Koa.Context): string | undefined {
    const value = ctx.cookies.get(cookieName, { signed: false })
    return value && /^[\w-]{43}$/.test(value) ? value : undefined
  }

  const tokensFor = (browser: string, subject: string) =>
    hmacs(`${browser}\0${subject}`).map((hmac) => hmac.toString('base64url'))

  return {
    issue(ctx, subject) {
      const browser = browserOf(ctx) ?? randomBytes(32).toString('base64url')
      ctx.cookies.set(cookieName, browser, {
        signed: false,
        httpOnly: true,
        sameSite: 'lax',
        secure,
        path: '/',
        overwrite: true,
      })
      return tokensFor(browser, subject)[0]!
    },

    check(ctx, subject, presented) {
      const from = ctx.get('Origin')
      const site = ctx.get('Sec-Fetch-Site')
      // Our pages send no referrer, and with that policy a browser says "null" for the origin of its own forms, too; what it
      // says of the site then tells them from a sandboxed frame of somebody else.
      const ours = from === '' || from === origin || (from === 'null' && site === 'same-origin')
      if (!ours) throw foreign(`Origin ${from}`)
      if (site !== '' && site !== 'same-origin' && site !== 'none') throw foreign(`Sec-Fetch-Site ${site}`)
      const browser = browserOf(ctx)
      const shown = String(presented)
      if (!browser || !tokensFor(browser, subject).some((token) => sameText(shown, token)))
        throw foreign('form token missing or wrong')
    },
  }
}

function sameText(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}

function foreign(detail: string): Problem {
  return new Problem(
    403,
    'form_not_ours',
    'This form did not come from our page, or the page was open for too long. Go back, reload the page, and try again.',
    { detail },
  )
}
