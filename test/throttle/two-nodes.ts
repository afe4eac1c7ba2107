// Two servers of one installation for the tests of the guard, and a form that says where it comes from.
import { load } from 'cheerio'
import type pg from 'pg'
import { createBrowser } from '../helpers/browser.ts'
import { authorizeUrl, pkce } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'

export const WRONG = 'the wrong password entirely'

export interface TwoNodes {
  /** believes nobody about who calls */
  readonly server: TestServer
  /** behind a proxy that may say who calls, with 10 ms on each statement's way */
  readonly behind: TestServer
  readonly slow: SlowDatabase
  /** runs a statement beside the servers */
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>
  stop(): Promise<void>
}

/** Starts both, with the usual cast and warm pools. */
export async function startTwoNodes(): Promise<TwoNodes> {
  const server = await startTestServer()
  await addCast(server)
  const slow = await slowDown(server.database.connection, 10)
  const behind = await startTestServer({
    database: server.database,
    env: { DATABASE_URL: slow.url, GATEHOUSE_TRUSTED_PROXIES: '127.0.0.1,::1' },
  })
  await Promise.all(Array.from({ length: 30 }, () => fetch(`${behind.issuer}/set-password?token=${'x'.repeat(43)}`)))
  const pool = server.database.pool()
  return {
    server,
    behind,
    slow,
    query: (text, values) => pool.query(text, values),
    async stop() {
      await behind.stop()
      await slow.close()
      await server.stop()
    },
  }
}

/** @returns a function that fills in the sign-in page of one browser, and follows no redirect */
export async function signInForm(at: TestServer, { browser = createBrowser(at.issuer), client = 'spa' } = {}) {
  const page = await browser.open(authorizeUrl(at, client, pkce().challenge, { prompt: 'login' }))
  const csrf = load(page.html)('[name=csrf]').attr('value')!
  const submit = (email: string, password: string, from = '198.51.100.7', headers: Record<string, string> = {}) =>
    browser.request(page.url, {
      method: 'POST',
      body: new URLSearchParams({ csrf, email, password, action: 'sign-in' }),
      headers: { origin: at.issuer, 'x-forwarded-for': from, ...headers },
    })
  return { browser, page, csrf, submit }
}

export const count = (answers: readonly Response[], status: number) =>
  answers.filter((one) => one.status === status).length

export const times = <T>(many: number, work: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: many }, (_, index) => work(index)))
