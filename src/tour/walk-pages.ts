// Walks through our own sign-in and consent pages as a browser without JavaScript would: by the stable names of their fields.
import { type Answer, ask } from './parts.ts'

const MOST_STEPS = 12

/**
 * @param cookies the browser's, by name and path
 * @param start the address of an authorization request
 * @param person who signs in
 * @param callback where the walk ends
 * @param tell hears of each page that was passed
 * @returns the address at the app that the browser was sent to
 */
export async function walkPages(
  cookies: Map<string, string>,
  start: string,
  person: { email: string; password: string },
  callback: string,
  tell: (page: 'sign-in' | 'consent') => void,
): Promise<URL> {
  let at = start
  let answer = await visit(cookies, at)
  for (let step = 0; step < MOST_STEPS; step++) {
    const location = answer.headers.get('location')
    if (location) {
      at = new URL(location, at).href
      if (at.startsWith(callback)) return new URL(at)
      answer = await visit(cookies, at)
    } else if (answer.text.includes('value="sign-in"')) {
      tell('sign-in')
      answer = await send(cookies, at, answer, { ...person, action: 'sign-in' })
    } else if (answer.text.includes('value="allow"')) {
      tell('consent')
      answer = await send(cookies, at, answer, { action: 'allow' })
    } else {
      break
    }
  }
  throw new Error(`the pages led nowhere: ${answer.status} at ${new URL(at).pathname}`)
}

/** Asks for a page with the cookies that fit its path, and keeps those that it sets. */
async function visit(cookies: Map<string, string>, url: string, init: RequestInit = {}): Promise<Answer> {
  const { pathname } = new URL(url)
  const fitting = [...cookies.entries()]
    .map(([key, value]) => ({ name: key.slice(0, key.indexOf(' ')), path: key.slice(key.indexOf(' ') + 1), value }))
    .filter(({ path }) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`))
  const cookie = fitting.map(({ name, value }) => `${name}=${value}`).join('; ')
  const answer = await ask(url, {
    ...init,
    headers: { accept: 'text/html', ...(cookie && { cookie }), ...init.headers },
  })
  for (const line of answer.headers.getSetCookie()) {
    const [pair = '', ...attributes] = line.split(/;\s*/)
    const path = attributes.find((one) => one.toLowerCase().startsWith('path='))?.slice(5) ?? '/'
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    if (value === '') cookies.delete(`${name} ${path}`)
    else cookies.set(`${name} ${path}`, value)
  }
  return answer
}

/** Signs out through the confirmation page. @returns where the browser was sent */
export async function signOut(cookies: Map<string, string>, url: string): Promise<string> {
  const page = await visit(cookies, url)
  const action = /id="op.logoutForm" method="post" action="([^"]+)"/.exec(page.text)?.[1] ?? url
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const answer = await visit(cookies, action, { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) })
  return answer.headers.get('location') ?? ''
}

/** Sends the page's form with its hidden field and what was filled in. */
function send(
  cookies: Map<string, string>,
  url: string,
  page: Answer,
  filled: Record<string, string>,
): Promise<Answer> {
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  return visit(cookies, url, { method: 'POST', body: new URLSearchParams({ csrf, ...filled }) })
}
