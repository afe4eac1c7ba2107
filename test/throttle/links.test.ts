// The guard before the forms behind one-time links: hashing is bounded, and nothing that was typed is lost.
import { jest } from '@jest/globals'
import argon2 from 'argon2'
import { load } from 'cheerio'
import { LIMITS } from '../../src/throttle/limits.ts'
import { createBrowser } from '../helpers/browser.ts'
import type { TestServer } from '../helpers/server.ts'
import { count, startTwoNodes, type TwoNodes, times } from './two-nodes.ts'

const GOOD = 'seven tall herons in the reeds'

let nodes: TwoNodes
let server: TestServer
let behind: TestServer

beforeAll(async () => {
  nodes = await startTwoNodes()
  ;({ server, behind } = nodes)
})
afterAll(() => nodes?.stop())
beforeEach(() => nodes.query('delete from throttle_buckets'))
afterEach(() => jest.restoreAllMocks())

/** @returns a function that sends the form of a link, from one address unless told */
async function linkForm(path: string, fields: Record<string, string>) {
  const browser = createBrowser(behind.issuer)
  const page = await browser.open(behind.issuer + path)
  const $ = load(page.html)
  const hidden = { csrf: $('[name=csrf]').attr('value')!, token: $('[name=token]').attr('value')! }
  return (password: string, from = '198.51.100.7', headers: Record<string, string> = {}) =>
    browser.request(page.url.origin + page.url.pathname, {
      method: 'POST',
      body: new URLSearchParams({ ...hidden, ...fields, password }),
      headers: { origin: behind.issuer, 'x-forwarded-for': from, ...headers },
    })
}

const makers = {
  setPassword: async () => {
    const id = await server.addPerson(`${Math.random()}@example.com`)
    return `/set-password?token=${(await server.rooms.accounts.makeSetPasswordLink(id, 'operator')).token}`
  },
  setUp: async () => `/admin/setup?token=${(await server.rooms.accounts.makeAdminLink('operator')).token}`,
}
const PERSON = { email: 'root@example.com', name: 'Root' }

it.each(['setPassword', 'setUp'] as const)(
  'S-163 S-201 %s: after the burst of a link the form comes back with the time left, and nothing is hashed',
  async (act) => {
    const submit = await linkForm(await makers[act](), act === 'setUp' ? PERSON : {})
    const { burst, every } = LIMITS[act].link
    const began = Date.now()
    const answers = await times(burst + 40, () => submit('short'))
    const came = Math.ceil((Date.now() - began) / 1000 / every)
    expect(count(answers, 422)).toBeGreaterThanOrEqual(burst)
    expect(count(answers, 422)).toBeLessThanOrEqual(burst + came)
    expect(count(answers, 422) + count(answers, 429)).toBe(burst + 40)

    // Another address, so that it is the link's own bucket.
    await nodes.query(`update throttle_buckets set expires_at = expires_at + interval '${every} s'`)
    const hash = jest.spyOn(argon2, 'hash')
    const refused = await submit(GOOD, '198.51.100.8')
    expect([refused.status, hash.mock.calls.length]).toEqual([429, 0])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    const html = await refused.text()
    const $ = load(html)
    expect($('[role=alert]').text()).toMatch(/Too many tries\. Try again in \d+ seconds?, at \d\d:\d\d:\d\d UTC\./)
    expect(html).not.toContain(GOOD)
    if (act === 'setUp') expect([$('#email').val(), $('#name').val()]).toEqual([PERSON.email, PERSON.name])
    else expect($('main').text()).toContain('@example.com')
    const json = await submit(GOOD, '198.51.100.8', { accept: 'application/json' })
    expect([json.status, await json.json()]).toMatchObject([429, { error: 'slow_down' }])

    // The link itself is still good.
    await nodes.query('delete from throttle_buckets')
    expect((await submit(GOOD)).status).toBe(200)
  },
)

it('S-163 a network that tries too many links has to wait, and another one has not', async () => {
  const submit = await linkForm(await makers.setPassword(), {})
  const { burst, every } = LIMITS.setPassword.network
  const key = server.rooms.ring.handles('throttle', ['set-password', 'network', '198.51.100.7'].join('\0'))[0]
  await nodes.query(`insert into throttle_buckets values ($1, now() + interval '${burst * every} s')`, [key])
  expect((await submit(GOOD)).status).toBe(429)
  expect((await submit(GOOD, '198.51.100.8')).status).toBe(200)
})

it('S-202 without the database a link sets nothing, and says so', async () => {
  const submit = await linkForm(await makers.setPassword(), {})
  const hash = jest.spyOn(argon2, 'hash')
  await nodes.slow.interrupt()
  try {
    expect([(await submit(GOOD)).status, hash.mock.calls.length]).toEqual([503, 0])
  } finally {
    await nodes.slow.resume()
  }
  expect((await submit(GOOD)).status).toBe(200)
})
