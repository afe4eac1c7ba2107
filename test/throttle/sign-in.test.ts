// The guard before the sign-in form: how many passwords are looked at, what whoever is refused hears, what becomes of it without the database.
import { jest } from '@jest/globals'
import argon2 from 'argon2'
import { load } from 'cheerio'
import { LIMITS } from '../../src/throttle/limits.ts'
import type { Page } from '../helpers/browser.ts'
import { holdClock, passSeconds, releaseClock } from '../helpers/clock.ts'
import { PASSWORD, startTestServer, type TestServer } from '../helpers/server.ts'
import { count, signInForm, startTwoNodes, type TwoNodes, times, WRONG } from './two-nodes.ts'

const { account, network } = LIMITS.signIn

let nodes: TwoNodes
let server: TestServer
let behind: TestServer

beforeAll(async () => {
  nodes = await startTwoNodes()
  ;({ server, behind } = nodes)
})
afterAll(() => nodes?.stop())
beforeEach(() => nodes.query('delete from throttle_buckets'))
afterEach(() => {
  jest.restoreAllMocks()
  releaseClock()
})

const pageOf = async (answer: Response): Promise<Page> => ({
  status: answer.status,
  url: new URL(answer.url),
  headers: answer.headers,
  html: await answer.text(),
  left: false,
})

describe('S-161 I-21 the limit of an account', () => {
  it('S-161 200 parallel wrong passwords with limit 5: at most 5 evaluated, and the right one comes too late', async () => {
    const email = 'parallel@example.com'
    await server.addPerson(email)
    const { submit } = await signInForm(behind)
    const verify = jest.spyOn(argon2, 'verify')
    const answers = await times(200, (index) => submit(email, WRONG, `198.51.100.${index}`))
    expect(verify).toHaveBeenCalledTimes(account.burst)
    expect([count(answers, 401), count(answers, 429)]).toEqual([account.burst, 200 - account.burst])
    expect(await submit(email, PASSWORD)).toMatchObject({ status: 429 })
    expect(verify).toHaveBeenCalledTimes(account.burst)
  })

  it('S-161 with the right password among 200 parallel tries no more wrong ones are looked at', async () => {
    const email = 'among@example.com'
    await server.addPerson(email)
    const forms = await times(4, () => signInForm(behind))
    const verify = jest.spyOn(argon2, 'verify')
    const right = (index: number) => index % 40 === 7
    const answers = await times(200, (index) =>
      forms[index % 4]!.submit(email, right(index) ? PASSWORD : `${WRONG} ${index}`, `198.51.100.${index}`),
    )
    const wrong = verify.mock.calls.filter(([, password]) => String(password).startsWith(WRONG))
    expect(wrong.length).toBeLessThanOrEqual(account.burst)
    expect(count(answers, 401)).toBe(wrong.length)
    expect(answers.filter(({ status }) => status >= 500)).toEqual([])
  })

  it('S-163 holds on every page and for every spelling of the address', async () => {
    const email = 'möwe@bücher.example'
    await server.addPerson(email)
    const first = await signInForm(behind)
    await times(account.burst, () => first.submit(email, WRONG))
    const other = await signInForm(behind, { client: 'shop' })
    const spellings = ['MÖWE@Bücher.example', ' möwe@xn--bcher-kva.example ', email.normalize('NFD')]
    for (const spelling of spellings) expect((await other.submit(spelling, PASSWORD)).status).toBe(429)
    const switching = `${other.page.url}/switch`
    const body = new URLSearchParams({ csrf: other.csrf, email, password: PASSWORD, action: 'sign-in' })
    const headers = { origin: behind.issuer }
    expect((await other.browser.request(switching, { method: 'POST', body, headers })).status).toBe(429)
    // And on another node.
    expect((await (await signInForm(server)).submit(email, PASSWORD)).status).toBe(429)
  })

  it('S-159 S-160 an unknown address is refused after as many tries, in the same words and with the same work', async () => {
    const seen = []
    for (const email of ['ada@example.com', 'nobody@example.com']) {
      const verify = jest.spyOn(argon2, 'verify')
      const { submit } = await signInForm(behind)
      const answers = []
      for (let index = 0; index <= account.burst; index++) answers.push(await submit(email, WRONG))
      const $ = load(await answers.at(-1)!.text())
      $('[name=csrf], [name=email]').attr('value', '')
      $('form').attr('action', '')
      const headers = [...answers.at(-1)!.headers.keys()].sort().join()
      const html = $.html().replace(/\d+ seconds|\d+ minutes?|\d\d:\d\d/g, '…')
      seen.push({ statuses: answers.map(({ status }) => status), html, headers, work: verify.mock.calls.length })
      jest.restoreAllMocks()
    }
    expect(seen[1]).toEqual(seen[0])
    expect(seen[0]).toMatchObject({ statuses: [401, 401, 401, 401, 401, 429], work: account.burst })
  })

  it('a right password costs nothing, however often and from wherever', async () => {
    const { submit } = await signInForm(behind)
    for (let index = 0; index < account.burst - 1; index++) await submit('ada@example.com', WRONG)
    for (let index = 0; index < 4; index++) {
      const { submit: fresh } = await signInForm(behind)
      expect((await fresh('ada@example.com', PASSWORD)).status).toBe(303)
    }
    const { submit: last } = await signInForm(behind)
    expect((await last('ada@example.com', WRONG)).status).toBe(401)
    expect((await last('ada@example.com', WRONG)).status).toBe(429)
  })

  it('R-37 a node whose clock is an hour ahead shares the bucket', async () => {
    const { submit } = await signInForm(behind)
    await times(account.burst, () => submit('clock@example.com', WRONG))
    holdClock()
    passSeconds(10 * 60)
    expect((await submit('clock@example.com', WRONG)).status).toBe(429)
  })

  it('time brings the tries back, one by one', async () => {
    const { submit } = await signInForm(behind)
    await times(account.burst, () => submit('later@example.com', WRONG))
    expect((await submit('later@example.com', WRONG)).status).toBe(429)
    // What time does, without waiting for it.
    await server.database
      .pool()
      .query(`update throttle_buckets set expires_at = expires_at - interval '${account.every} s'`)
    expect((await submit('later@example.com', WRONG)).status).toBe(401)
    expect((await submit('later@example.com', WRONG)).status).toBe(429)
  })
})

describe('S-199 I-42 the limit of a network', () => {
  const spray = async (addresses: readonly string[]) => {
    const { submit } = await signInForm(behind)
    const answers: Response[] = []
    for (let at = 0; at < addresses.length; at += 20) {
      const some = addresses.slice(at, at + 20)
      answers.push(...(await Promise.all(some.map((from, index) => submit(`x${at + index}@example.com`, WRONG, from)))))
    }
    return answers
  }

  it('S-199 one password on many accounts, from a thousand addresses of one /64 in many spellings', async () => {
    const addresses = Array.from({ length: network.burst + 20 }, (_, index) =>
      index % 2 ? `2001:db8:0:7:${index}::1` : `2001:DB8:0000:0007:0:0:${index}:99`,
    )
    const began = Date.now()
    const answers = await spray(addresses)
    const came = Math.ceil((Date.now() - began) / 1000 / network.every)
    expect(count(answers, 401)).toBeGreaterThanOrEqual(network.burst)
    expect(count(answers, 401)).toBeLessThanOrEqual(network.burst + came)
    const { submit } = await signInForm(behind)
    expect((await submit('fresh@example.com', WRONG, '2001:db8:0:8::1')).status).toBe(401)
  })

  it('S-199 with GATEHOUSE_IPV6_PREFIX=56 a customer with 256 networks is one', async () => {
    const wide = await startTestServer({
      database: server.database,
      env: { GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1,::1', GATEHOUSE_IPV6_PREFIX: '56' },
    })
    try {
      const { submit } = await signInForm(wide)
      await nodes.query('delete from throttle_buckets')
      for (let index = 0; index < 4; index++) await submit(`w${index}@example.com`, WRONG, `2001:db8:0:a0${index}::1`)
      const { rows } = await nodes.query('select count(*)::int as n from throttle_buckets')
      expect(rows[0].n).toBe(4 + 1)
    } finally {
      await wide.stop()
    }
  })

  it('S-199 IPv4 written as IPv6 is the same network', async () => {
    const { submit } = await signInForm(behind)
    await nodes.query('delete from throttle_buckets')
    await submit('a@example.com', WRONG, '203.0.113.9')
    await submit('b@example.com', WRONG, '::ffff:203.0.113.9')
    await submit('c@example.com', WRONG, '[::ffff:cb00:7109]:4711')
    const { rows } = await nodes.query('select count(*)::int as n from throttle_buckets')
    expect(rows[0].n).toBe(3 + 1)
  })

  it('S-199 I-42 a forwarded address counts from a listed proxy only', async () => {
    const { submit } = await signInForm(server)
    await nodes.query('delete from throttle_buckets')
    for (let index = 0; index < 4; index++) await submit(`f${index}@example.com`, WRONG, `198.51.100.${index}`)
    const { rows } = await nodes.query('select count(*)::int as n from throttle_buckets')
    expect(rows[0].n).toBe(4 + 1)
  })

  it('a refused network takes nothing from the accounts it names', async () => {
    await spray(Array.from({ length: network.burst }, () => '203.0.113.50'))
    const { submit } = await signInForm(behind)
    const refused = await times(30, () => submit('ada@example.com', WRONG, '203.0.113.50'))
    expect(count(refused, 429)).toBeGreaterThan(30 - account.burst)
    expect((await submit('ada@example.com', PASSWORD, '203.0.113.51')).status).toBe(303)
  })
})

describe('S-201 what whoever is refused hears', () => {
  const refused = async (email = 'heard@example.com') => {
    const form = await signInForm(behind)
    await times(account.burst, () => form.submit(email, WRONG))
    return form
  }

  it('S-201 429 with Retry-After and the same page: the time left in words, the address kept, no password', async () => {
    const { browser, submit } = await refused()
    const before = Date.now()
    const page = await pageOf(await submit('heard@example.com', WRONG))
    const seconds = Number(page.headers.get('retry-after'))
    expect(page.status).toBe(429)
    expect(seconds).toBeGreaterThan(account.every - 30)
    expect(seconds).toBeLessThanOrEqual(account.every)
    const $ = load(page.html)
    expect($('title').text()).toMatch(/^Problem: Sign in/)
    const [, time] =
      /^Too many tries\. Try again in 3 minutes, at (\d\d:\d\d) UTC\.$/.exec($('[role=alert]').text().trim()) ?? []
    const told = new Date(`${new Date(before).toISOString().slice(0, 10)}T${time}:00Z`).getTime()
    const wait = (told - before + 86_400_000) % 86_400_000
    expect(wait).toBeGreaterThanOrEqual((seconds - 2) * 1000)
    expect(wait).toBeLessThanOrEqual((seconds + 62) * 1000)
    expect($('#email').val()).toBe('heard@example.com')
    expect($('#password').val()).toBeUndefined()
    expect($('[aria-invalid]').length).toBe(0)
    expect(page.html).not.toContain(WRONG)
    // Nothing is lost: the page goes on where it was once there is a try again.
    await nodes.query('delete from throttle_buckets')
    const done = await browser.press({ ...page, url: page.url }, 'sign-in', {
      email: 'ada@example.com',
      password: PASSWORD,
    })
    expect([done.left, done.url.searchParams.has('code')]).toEqual([true, true])
  })

  it('S-201 as JSON for a program', async () => {
    const { submit } = await refused('program@example.com')
    const answer = await submit('program@example.com', WRONG, undefined, { accept: 'application/json' })
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([429, 'no-store'])
    expect(answer.headers.get('retry-after')).toMatch(/^1[78]\d$/)
    expect(await answer.json()).toMatchObject({
      error: 'slow_down',
      error_description: expect.stringMatching(/^Too many tries\. Try again in 3 minutes, at \d\d:\d\d UTC\.$/),
    })
  })

  it('S-201 other spellings of the path are 404 or 429', async () => {
    const { browser, page, csrf } = await refused('path@example.com')
    const uid = page.url.pathname.split('/')[2]!
    const body = new URLSearchParams({ csrf, email: 'path@example.com', password: PASSWORD, action: 'sign-in' })
    const verify = jest.spyOn(argon2, 'verify')
    const statuses = []
    for (const path of [
      `/interaction/${uid}`,
      `/interaction/${uid}?x=1`,
      `//interaction/${uid}`,
      `/interaction//${uid}`,
      `/interaction/${uid}/`,
      `/INTERACTION/${uid}`,
      `/%69nteraction/${uid}`,
      `/interaction/${uid}/SWITCH`,
      `/interaction/${uid}/switch/`,
      `/interaction/${uid}%2Fswitch`,
      `/interaction/./${uid}`,
      `/interaction/${uid};x`,
    ]) {
      const headers = { origin: behind.issuer }
      statuses.push((await browser.request(`${behind.issuer}${path}`, { method: 'POST', body, headers })).status)
    }
    expect(statuses.slice(0, 2)).toEqual([429, 429])
    expect(statuses.filter((status) => ![400, 404, 429].includes(status))).toEqual([])
    expect(verify).not.toHaveBeenCalled()
  })

  it('the log tells of it, and neither who was meant nor what was typed; the audit does not', async () => {
    const before = behind.log.length
    const { submit } = await refused('quiet@example.com')
    await submit('quiet@example.com', WRONG)
    const lines = behind.log.slice(before)
    const line = JSON.parse(lines.find((one) => one.includes('"throttled"'))!)
    expect(line).toMatchObject({ level: 40, act: 'sign-in', bucket: 'account', request: expect.any(String) })
    expect(lines.join()).not.toMatch(/quiet@example|wrong password entirely/)
    const { rows } = await nodes.query(`select kind from audit_entries where kind like '%thrott%'`)
    expect(rows).toEqual([])
  })

  it('no address and no account lies in the table in clear', async () => {
    await refused('secret@example.com')
    const { rows } = await nodes.query('select key from throttle_buckets')
    expect(rows.length).toBeGreaterThanOrEqual(2)
    expect(rows.map(({ key }) => key.length)).toEqual(rows.map(() => 16))
  })
})

describe('S-202 while the database is away', () => {
  it('S-202 no password is looked at and the answer is 503; keys and metadata are served', async () => {
    const { submit } = await signInForm(behind)
    const verify = jest.spyOn(argon2, 'verify')
    await nodes.slow.interrupt()
    try {
      const answer = await submit('ada@example.com', PASSWORD)
      expect([answer.status, verify.mock.calls.length]).toEqual([503, 0])
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      for (const path of ['/jwks', '/.well-known/openid-configuration'])
        expect((await fetch(behind.issuer + path)).status).toBe(200)
    } finally {
      await nodes.slow.resume()
    }
    expect((await submit('ada@example.com', PASSWORD)).status).toBe(303)
  })

  it('S-202 nor while the table of buckets alone cannot be used', async () => {
    const { submit } = await signInForm(behind)
    const verify = jest.spyOn(argon2, 'verify')
    await nodes.query('alter table throttle_buckets rename to mislaid')
    try {
      const answer = await submit('ada@example.com', PASSWORD)
      expect([answer.status, verify.mock.calls.length]).toEqual([500, 0])
    } finally {
      await nodes.query('alter table mislaid rename to throttle_buckets')
    }
    expect((await submit('ada@example.com', PASSWORD)).status).toBe(303)
  })
})
