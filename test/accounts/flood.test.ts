// More sign-ins at once than the machine can hash: who finds the queue full is told so, whoever it is about.
import { load } from 'cheerio'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, pkce } from '../helpers/flow.ts'
import { addCast, PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
beforeAll(async () => {
  // Many tries in a short time, of which none is a guess: the limits of the test profile.
  server = await startTestServer({ env: { GATEHOUSE_PROFILE: 'test' } })
  await addCast(server)
})
afterAll(() => server?.stop())

/** Keeps the queue full, on however many cores, while something else is done. */
async function whileFull<T>(work: () => Promise<T>): Promise<T> {
  let over = false
  const keepBusy = async () => {
    while (!over) {
      // No address, so no look-up: straight into the queue, or out of it and in again.
      await server.rooms.accounts.authenticate('nobody', 'x').catch(() => new Promise(setImmediate))
    }
  }
  const busy = Array.from({ length: 250 }, keepBusy)
  try {
    return await work()
  } finally {
    over = true
    await Promise.all(busy)
  }
}

it('S-203 S-159 while the queue is full a sign-in gets 503 and Retry-After, known or not; then all is as before', async () => {
  const browser = createBrowser(server.issuer)
  const page = await browser.open(authorizeUrl(server, 'shop', pkce().challenge))
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const signIn = async (email: string) => {
    const body = new URLSearchParams({ csrf, email, password: 'seven tall herons in the reeds', action: 'sign-in' })
    const response = await browser.request(page.url, { method: 'POST', body, headers: { origin: server.issuer } })
    return { email, response, html: await response.text() }
  }
  const emails = Array.from({ length: 10 }, () => ['ada@example.com', 'adb@example.com']).flat()
  const answers = await whileFull(() => Promise.all(emails.map(signIn)))

  // A place may have been free for one or the other.
  expect(answers.map(({ response }) => response.status).filter((status) => status !== 503 && status !== 401)).toEqual(
    [],
  )
  const busy = answers.filter(({ response }) => response.status === 503)
  expect(new Set(busy.map(({ email }) => email))).toEqual(new Set(emails))
  for (const { response, html } of busy) {
    expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d?$/)
    expect(load(html)('main').text()).toContain('Try again in a few seconds')
  }
  expect(await server.rooms.accounts.authenticate('ada@example.com', PASSWORD)).toMatchObject({ ok: true })
})
