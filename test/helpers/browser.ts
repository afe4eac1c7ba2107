// A browser without JavaScript and without eyes: it keeps cookies, follows redirects on one origin, and presses buttons.
import { load } from 'cheerio'
import { CookieJar } from 'tough-cookie'

export interface Page {
  readonly status: number
  /** address of the page, or, where the browser was sent to another origin, that address */
  readonly url: URL
  readonly headers: Headers
  readonly html: string
  /** true when the last redirect led away from the server's origin and was not followed */
  readonly left: boolean
}

export interface Browser {
  readonly jar: CookieJar
  /** Opens an address and follows redirects for as long as they stay on the origin. */
  open(url: string | URL, headers?: Record<string, string>): Promise<Page>
  /** Sends one request without following anything. */
  request(url: string | URL, init?: RequestInit): Promise<Response>
  /**
   * Fills in the form of a page that has a button with this value, and presses the button.
   * @param button '' for the only button of a page that has one
   * @param changed values of fields; what is not named keeps the page's value
   */
  press(page: Page, button: string, changed?: Record<string, string>): Promise<Page>
}

const MOST_REDIRECTS = 12

/**
 * The request that a button of a page would send.
 * @param button '' for the only button of a page that has one
 * @param changed values of fields; what is not named keeps the page's value
 */
export function formOf(
  page: Page,
  button: string,
  changed: Record<string, string> = {},
): { target: URL; fields: Record<string, string> } {
  const $ = load(page.html)
  const pressed = button === '' ? $('main button') : $(`button[value="${button}"]`).first()
  if (pressed.length === 0) throw new Error(`no button "${button}" on ${page.url.pathname}:\n${$('main').text()}`)
  const formId = pressed.attr('form')
  const form = formId ? $(`form[id="${formId}"]`) : pressed.closest('form')
  const fields = Object.fromEntries(
    form
      .find('input[name]')
      .toArray()
      .map((input) => [$(input).attr('name')!, changed[$(input).attr('name')!] ?? $(input).attr('value') ?? '']),
  )
  const name = pressed.attr('name')
  const target = new URL(pressed.attr('formaction') ?? form.attr('action') ?? '', page.url)
  return { target, fields: { ...fields, ...(name && { [name]: button }) } }
}

/**
 * @param options `jar` is shared with another browser, as among tabs; `send` sends the requests elsewhere than to `origin`
 * @returns a browser; without a jar, one with no cookies yet
 */
export function createBrowser(
  origin: string,
  { jar = new CookieJar(), send = fetch }: { jar?: CookieJar; send?: typeof fetch } = {},
): Browser {
  async function request(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers)
    if (!headers.has('accept')) headers.set('accept', 'text/html,application/xhtml+xml')
    const cookies = await jar.getCookieString(String(url))
    if (cookies !== '' && !headers.has('cookie')) headers.set('cookie', cookies)
    const response = await send(url, { ...init, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie())
      await jar.setCookie(cookie, String(url), { ignoreError: true })
    return response
  }

  async function follow(first: URL, init: RequestInit): Promise<Page> {
    let url = first
    let response = await request(url, init)
    for (let hop = 0; response.status >= 300 && response.status < 400; hop++) {
      if (hop === MOST_REDIRECTS) throw new Error(`too many redirects at ${url}`)
      await response.arrayBuffer()
      url = new URL(response.headers.get('location') ?? '', url)
      if (url.origin !== origin) {
        return { status: response.status, url, headers: response.headers, html: '', left: true }
      }
      response = await request(url)
    }
    return { status: response.status, url, headers: response.headers, html: await response.text(), left: false }
  }

  return {
    jar,
    request,
    open: (url, headers = {}) => follow(new URL(url), { headers }),

    async press(page, button, changed = {}) {
      const { target, fields } = formOf(page, button, changed)
      const body = new URLSearchParams(fields)
      if (target.origin !== origin)
        return { status: 200, url: target, headers: new Headers(), html: String(body), left: true }
      return follow(target, { method: 'POST', body, headers: { origin, 'sec-fetch-site': 'same-origin' } })
    },
  }
}
