// The story of a person: she signs in, allows an app to act for her, the app does, and she signs out again.
import { createHash, randomBytes } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { ClientFields } from '../clients/client.ts'
import { type Callback, openCallback } from './callback.ts'
import { demoAudience } from './demo-api.ts'
import { createNarrator, type Narrator, pick, shorten, type TourReport } from './narrate.ts'
import { type Answer, ask, postForm, type TourOptions, type TourParts, tryEmail, tryName } from './parts.ts'
import { signOut, walkPages } from './walk-pages.ts'

export interface LoginOptions extends TourOptions {
  /** print an address to open, instead of walking through the pages */
  readonly browser?: boolean
}

/** What the story carries from step to step. */
interface Story {
  readonly parts: TourParts
  readonly narrator: Narrator
  readonly client: { id: string; secret: string }
  readonly person: { email: string; password: string }
  readonly callback: Callback
  readonly cookies: Map<string, string>
}

/**
 * @returns what happened, step by step
 * @throws OperatorFault when server or demo do not run, or nobody came back from the browser in time
 */
export async function tryLogin(parts: TourParts, { say, keep, browser = false }: LoginOptions): Promise<TourReport> {
  await ask(`${parts.issuer}/healthz`)
  const narrator = createNarrator(say)
  const callback = await openCallback()
  const id = tryName('web')
  const person = { email: tryEmail(), password: randomBytes(12).toString('base64url') }
  try {
    const { secret = '' } = await parts.addClient(webClient(id, callback.url, demoAudience(parts.issuer)))
    await parts.addUser({ ...person, name: 'Ada on tour' })
    const story: Story = { parts, narrator, client: { id, secret }, person, callback, cookies: new Map() }
    narrator.step({
      title: 'An app and a person are registered.',
      shell: [
        `CLIENT=${id} CLIENT_SECRET=${secret}`,
        ...(browser ? [] : [`EMAIL=${person.email} PASSWORD=${person.password}`, ...BROWSER]),
      ],
      answer: browser
        ? `The person is ${person.email}, with the password ${person.password}`
        : 'The last commands give the shell what a browser has: cookies, a page, and fields to fill in.',
    })
    await tell(story, browser ? say : undefined)
  } finally {
    await callback.close()
    if (!keep) {
      await parts.removeClient(id)
      await parts.removeUser(person.email)
    }
  }
  say('')
  say(keep ? 'App and person stay until the next start.' : 'App and person are removed again.')
  return narrator.report()
}

/** What a shell needs to walk through pages: `visit` keeps cookies, `field` reads a hidden field of the page at hand. */
const BROWSER = [
  'JAR=$(mktemp) PAGE=$(mktemp)',
  'visit() { curl -s -b "$JAR" -c "$JAR" "$@"; }',
  `field() { sed -n "s/.*name=\\"$1\\" value=\\"\\([^\\"]*\\)\\".*/\\1/p" "$PAGE" | head -n 1; }`,
]
const READ_PAGE = `-o "$PAGE" -w '%{url_effective}'`
const READ_REDIRECT = `-o /dev/null -w '%{redirect_url}'`

async function tell(story: Story, sayAddress?: (line: string) => void): Promise<void> {
  const { code, verifier, nonce } = await signInAndConsent(story, sayAddress)
  const tokens = await redeem(story, code, verifier)
  await checkIdToken(story, tokens, nonce)
  await callApis(story, String(tokens.json.access_token))
  await refreshAndSignOut(story, tokens)
}

async function signInAndConsent(
  { parts, narrator, client, person, callback, cookies }: Story,
  say?: (line: string) => void,
) {
  const { issuer } = parts
  const verifier = randomBytes(32).toString('base64url')
  const [state, nonce] = [randomBytes(16).toString('base64url'), randomBytes(16).toString('base64url')]
  const address = new URL(`${issuer}/authorize`)
  address.search = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    redirect_uri: callback.url,
    scope: 'openid email orders:read orders:write',
    resource: demoAudience(issuer),
    state,
    nonce,
    // The same commands by hand find the consent that the story gave: without this, nobody would be asked again.
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  narrator.step({
    title: 'The app sends her browser to the authorization endpoint (code + PKCE, RFC 7636).',
    shell: say ? [] : [`VERIFIER=${verifier}`, `AT=$(visit -L ${READ_PAGE} "${address}")`],
    answer: say
      ? `Open this address in a browser and sign in; the story goes on when you\ncome back (5 minutes).\n${address}`
      : 'She is shown a page to sign in.',
  })
  const pages: string[] = []
  const back = say
    ? await callback.wait()
    : await walkPages(cookies, address.href, person, callback.url, (page) => pages.push(page))
  const code = back.searchParams.get('code') ?? ''
  const right = back.searchParams.get('state') === state && back.searchParams.get('iss') === issuer
  narrator.step({
    title: say
      ? 'She came back.'
      : `She ${pages.map((page) => (page === 'sign-in' ? 'signs in' : 'allows access')).join(', then ')}.`,
    shell: say ? [`CODE=${code} VERIFIER=${verifier}`] : WALK,
    answer: `The browser is back at the app: code ${shorten(code)}, state and issuer as expected: ${right ? 'yes' : 'no'}`,
    ok: code !== '' && right,
  })
  return { code, verifier, nonce }
}

const WALK = [
  `AT=$(visit -L ${READ_PAGE} -d "csrf=$(field csrf)" -d "email=$EMAIL" -d "password=$PASSWORD" -d action=sign-in "$AT")`,
  `NEXT=$(visit ${READ_REDIRECT} -d "csrf=$(field csrf)" -d action=allow "$AT")`,
  `BACK=$(visit ${READ_REDIRECT} "$NEXT")`,
  `CODE=$(echo "$BACK" | sed 's/.*[?&]code=\\([^&]*\\).*/\\1/')`,
]

async function redeem(
  { parts: { issuer }, narrator, client, callback }: Story,
  code: string,
  verifier: string,
): Promise<Answer> {
  const fields = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: callback.url }
  const tokens = await postForm(`${issuer}/token`, fields, client)
  narrator.step({
    title: 'The app redeems the code.',
    shell: [
      `TOKENS=$(curl -s -u "$CLIENT:$CLIENT_SECRET" -d grant_type=authorization_code -d code=$CODE -d code_verifier=$VERIFIER -d redirect_uri=${callback.url} ${issuer}/token)`,
      ...Object.entries({ TOKEN: 'access_token', REFRESH: 'refresh_token', ID_TOKEN: 'id_token' }).map(
        ([name, member]) => `${name}=$(echo "$TOKENS" | ${pick(member)})`,
      ),
    ],
    status: tokens.status,
    answer: `${tokens.status}  access token, ID token and refresh token, for ${tokens.json.scope}`,
    ok: tokens.status === 200,
  })
  return tokens
}

async function checkIdToken(
  { parts: { issuer }, narrator, client }: Story,
  tokens: Answer,
  nonce: string,
): Promise<void> {
  const jwks = createRemoteJWKSet(new URL(`${issuer}/jwks`))
  const checked = await jwtVerify(String(tokens.json.id_token), jwks, { issuer, audience: client.id }).catch(
    () => undefined,
  )
  narrator.step({
    title: 'The app checks the ID token against the published keys.',
    shell: [`curl -s ${issuer}/jwks`],
    answer: checked
      ? `Signed with ${checked.protectedHeader.alg} by us, for ${client.id}; the person is ${checked.payload.sub}`
      : 'It does not verify.',
    ok: checked?.payload.nonce === nonce,
  })
}

async function callApis({ parts: { issuer, gateway }, narrator }: Story, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` }
  const calls: [string, string, string, RequestInit, number][] = [
    ['Userinfo tells the app who she is.', `${issuer}/userinfo`, '', {}, 200],
    ['Through the gateway the app sees her orders,', `${gateway}/orders`, '', {}, 200],
    [
      'and places one, because she allowed that, too.',
      `${gateway}/orders`,
      `-d '{"item":"Arch"}' `,
      { method: 'POST', body: '{"item":"Arch"}' },
      201,
    ],
  ]
  for (const [title, url, data, init, expected] of calls) {
    const answer = await ask(url, { ...init, headers })
    narrator.step({
      title,
      shell: [`curl -s -H "Authorization: Bearer $TOKEN" ${data}${url}`],
      status: answer.status,
      answer: `${answer.status}  ${shorten(answer.text, 80)}`,
      ok: answer.status === expected,
    })
  }
}

async function refreshAndSignOut(
  { parts: { issuer }, narrator, client, cookies }: Story,
  tokens: Answer,
): Promise<void> {
  const fields = { grant_type: 'refresh_token', refresh_token: String(tokens.json.refresh_token) }
  const shell = `curl -s -u "$CLIENT:$CLIENT_SECRET" -d grant_type=refresh_token -d refresh_token=$REFRESH ${issuer}/token`
  const refreshed = await postForm(`${issuer}/token`, fields, client)
  narrator.step({
    title: 'Later, the app gets a new access token with its refresh token.',
    shell: [shell],
    status: refreshed.status,
    answer: `${refreshed.status}  access_token ${shorten(String(refreshed.json.access_token))}`,
    ok: refreshed.status === 200,
  })
  // Signed in by hand, she has the cookies and we have not.
  if (cookies.size === 0) return
  await signOut(cookies, `${issuer}/logout?${new URLSearchParams({ id_token_hint: String(tokens.json.id_token) })}`)
  const after = await postForm(`${issuer}/token`, fields, client)
  narrator.step({
    title: 'She signs out, and what the app held for this session ends with it.',
    shell: [
      `visit -o "$PAGE" "${issuer}/logout?id_token_hint=$ID_TOKEN"`,
      `visit -o /dev/null -d "xsrf=$(field xsrf)" -d logout=yes ${issuer}/logout/confirm`,
      shell,
      'rm "$JAR" "$PAGE"',
    ],
    status: after.status,
    answer: `${after.status}  ${after.text}`,
    ok: after.status === 400 && after.json.error === 'invalid_grant',
  })
}

function webClient(id: string, redirectUri: string, resource: string): ClientFields {
  return {
    id,
    name: 'An app on tour',
    kind: 'web',
    authMethod: 'client_secret_basic',
    firstParty: false,
    redirectUris: [redirectUri],
    postLogoutRedirectUris: [],
    responseModes: ['query'],
    requirePar: false,
    dpop: 'optional',
    refresh: 'session',
    scopes: { [resource]: ['orders:read', 'orders:write'] },
    serves: [],
  }
}
