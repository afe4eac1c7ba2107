// Errors of the endpoints for programs are those of the standards (SECURITY S-080).
import { basic } from '../helpers/flow.ts'
import { send } from '../helpers/process.ts'
import { addCast, CALLBACK, ORDERS, startTestServer, type TestServer, THINGS } from '../helpers/server.ts'

let server: TestServer
let cast: Awaited<ReturnType<typeof addCast>>
let port: number
let host: string

beforeAll(async () => {
  server = await startTestServer()
  cast = await addCast(server)
  ;({ host } = new URL(server.issuer))
  port = Number(new URL(server.issuer).port)
})
afterAll(() => server.stop())

describe('S-080', () => {
  type Case = [
    what: string,
    path: string,
    form: string,
    status: number,
    error: string,
    who?: 'shop' | 'billing' | 'nobody' | 'wrong' | '',
  ]
  const code = `grant_type=authorization_code&redirect_uri=${encodeURIComponent(CALLBACK)}&code_verifier=${'x'.repeat(43)}`
  const machine = 'grant_type=client_credentials'
  const cases: Case[] = [
    ['no body', '/token', '', 400, 'invalid_request'],
    ['no grant_type', '/token', 'code=x', 400, 'invalid_request'],
    ['an empty grant_type', '/token', 'grant_type=', 400, 'invalid_request'],
    ['a grant_type twice', '/token', `${machine}&${machine}`, 400, 'invalid_request'],
    ['an unknown grant_type', '/token', 'grant_type=x', 400, 'unsupported_grant_type'],
    ['the name of a member of every object', '/token', 'grant_type=constructor', 400, 'unsupported_grant_type'],
    ['the name of a prototype', '/token', 'grant_type=__proto__', 400, 'unsupported_grant_type'],
    ['password', '/token', 'grant_type=password&username=a&password=b', 400, 'unsupported_grant_type'],
    ['a grant that is not this client’s', '/token', `${code}&code=x`, 400, 'unauthorized_client', 'billing'],
    [
      'refresh that is not this client’s',
      '/token',
      'grant_type=refresh_token&refresh_token=x',
      400,
      'unauthorized_client',
      'billing',
    ],
    ['no code', '/token', code, 400, 'invalid_request'],
    ['no redirect_uri', '/token', 'grant_type=authorization_code&code=x', 400, 'invalid_request'],
    ['an unknown code', '/token', `${code}&code=x`, 400, 'invalid_grant'],
    ['a code of the right shape', '/token', `${code}&code=gth_ac_${'A'.repeat(49)}`, 400, 'invalid_grant'],
    ['a code twice', '/token', `${code}&code=x&code=y`, 400, 'invalid_request'],
    ['a code as a list', '/token', `${code}&code[]=x`, 400, 'invalid_request'],
    ['a code with a null byte', '/token', `${code}&code=x%00y`, 400, 'invalid_request'],
    ['a code that is not UTF-8', '/token', `${code}&code=%ff%fe`, 400, 'invalid_grant'],
    ['a code that is too long', '/token', `${code}&code=${'x'.repeat(3000)}`, 400, 'invalid_request'],
    ['no refresh_token', '/token', 'grant_type=refresh_token', 400, 'invalid_request'],
    ['an unknown refresh_token', '/token', 'grant_type=refresh_token&refresh_token=x', 400, 'invalid_grant'],
    [
      'a refresh_token of the right shape',
      '/token',
      `grant_type=refresh_token&refresh_token=gth_rt_${'A'.repeat(71)}`,
      400,
      'invalid_grant',
    ],
    [
      'a refresh_token with a null byte',
      '/token',
      'grant_type=refresh_token&refresh_token=%00',
      400,
      'invalid_request',
    ],
    ['an unknown scope', '/token', `${machine}&scope=nosuch`, 400, 'invalid_scope', 'billing'],
    ['a scope with quotes', '/token', `${machine}&scope=%22x%22`, 400, 'invalid_scope', 'billing'],
    ['a scope with a null byte', '/token', `${machine}&scope=orders%00read`, 400, 'invalid_request', 'billing'],
    [
      'an unknown resource',
      '/token',
      `${machine}&resource=https://nowhere.example.com`,
      400,
      'invalid_target',
      'billing',
    ],
    ['a resource that is no address', '/token', `${machine}&resource=x`, 400, 'invalid_target', 'billing'],
    ['a resource of others', '/token', `${machine}&resource=${THINGS}`, 400, 'invalid_target', 'billing'],
    ['a resource with a null byte', '/token', `${machine}&resource=${ORDERS}%00`, 400, 'invalid_request', 'billing'],
    ['no client', '/token', machine, 400, 'invalid_request', ''],
    ['an unknown client', '/token', machine, 401, 'invalid_client', 'nobody'],
    ['an unknown client in the body', '/token', `${machine}&client_id=nobody`, 401, 'invalid_client', ''],
    ['a client_id with a null byte', '/token', `${machine}&client_id=%00`, 400, 'invalid_request', ''],
    ['a wrong secret', '/token', machine, 401, 'invalid_client', 'wrong'],
    [
      'an assertion of another type',
      '/token',
      `${machine}&client_assertion=a.e30.c&client_assertion_type=x`,
      401,
      'invalid_client',
      '',
    ],
    ['an assertion that is none', '/token', `${machine}&client_assertion=x`, 400, 'invalid_request', ''],
    ['no token', '/introspect', '', 400, 'invalid_request'],
    ['a token twice', '/introspect', 'token=x&token=y', 400, 'invalid_request'],
    ['no client', '/introspect', 'token=x', 400, 'invalid_request', ''],
    ['a wrong secret', '/introspect', 'token=x', 401, 'invalid_client', 'wrong'],
    ['no token', '/revoke', '', 400, 'invalid_request'],
    ['no client', '/revoke', 'token=x', 400, 'invalid_request', ''],
    ['an unknown client', '/revoke', 'token=x', 401, 'invalid_client', 'nobody'],
  ]
  const INTERNAL =
    /\bat \S+:\d+|node_modules|\.ts\b|\.js\b|oidc-provider|koa|kysely|postgres|\bselect\b|\binsert\b|undefined|\[object|TypeError|oops/i

  const headersOf = (who: string): Record<string, string> =>
    who === ''
      ? {}
      : basic(
          who === 'wrong' ? 'shop' : who,
          who === 'shop' ? cast.shop : who === 'billing' ? cast.billing : 'x'.repeat(43),
        )

  it.each(cases)('%s at %s', async (_what, path, form, status, error, who = 'shop') => {
    for (const accept of ['*/*', 'application/json', 'text/html,application/xhtml+xml']) {
      const answer = await fetch(`${server.issuer}${path}`, {
        method: 'POST',
        headers: { ...headersOf(who), accept, 'content-type': 'application/x-www-form-urlencoded' },
        body: form,
      })
      const text = await answer.text()
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
      const body = JSON.parse(text)
      expect([answer.status, body.error]).toEqual([status, error])
      expect(Object.keys(body).filter((name) => !['error', 'error_description', 'scope'].includes(name))).toEqual([])
      // RFC 6749 section 5.2: printable ASCII without quotes and backslashes.
      if (body.error_description !== undefined)
        expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
      expect(text).not.toMatch(INTERNAL)
      expect(answer.headers.get('cache-control')).toContain('no-store')
      expect(answer.headers.has('www-authenticate')).toBe(status === 401 && who !== '')
    }
  })

  it('an unknown token is no error, in whatever shape', async () => {
    for (const token of ['x', 'a.b.c', 'ä', 'e30.e30.e30', `gth_at_${'A'.repeat(49)}`, 'x'.repeat(16_000)]) {
      for (const path of ['/introspect', '/revoke']) {
        const answer = await send(port, path, {
          form: { token },
          headers: { host, ...basic('shop', cast.shop) },
        })
        expect([path, answer.status]).toEqual([path, 200])
        expect(answer.text === '' || answer.text === '{"active":false}').toBe(true)
      }
    }
  })
})
