// The story of a service: it gets a token, calls an API through the gateway, and loses the token again.
import { decodeJwt } from 'jose'
import type { ClientFields } from '../clients/client.ts'
import { demoAudience } from './demo-api.ts'
import { createNarrator, pick, shorten, type TourReport } from './narrate.ts'
import { ask, postForm, type TourOptions, type TourParts, tryName } from './parts.ts'

/**
 * @returns what happened, step by step
 * @throws OperatorFault when server or demo do not run
 */
export async function tryM2m(parts: TourParts, { say, keep }: TourOptions): Promise<TourReport> {
  const { issuer, gateway } = parts
  await ask(`${issuer}/healthz`)
  const { step, report } = createNarrator(say)
  const resource = demoAudience(issuer)
  const id = tryName('m2m')
  const { secret = '' } = await parts.addClient(serviceClient(id, resource))
  const client = { id, secret }
  try {
    step({
      title: `A service is registered: "${id}" may ask for orders:read of the demo API.`,
      shell: [`CLIENT=${id} CLIENT_SECRET=${secret}`],
      answer: 'Its secret is shown here once; the server keeps a keyed hash.',
    })

    const issued = await postForm(`${issuer}/token`, { grant_type: 'client_credentials', resource }, client)
    const token = String(issued.json.access_token ?? '')
    step({
      title: 'The service asks for an access token (client credentials, RFC 6749 section 4.4).',
      shell: [
        `TOKEN=$(curl -s -u "$CLIENT:$CLIENT_SECRET" -d grant_type=client_credentials -d resource=${resource} ${issuer}/token | ${pick('access_token')})`,
      ],
      status: issued.status,
      answer: `${issued.status}  access_token ${shorten(token)}  expires in ${issued.json.expires_in} s\n${token ? describe(token) : issued.text}`,
      ok: issued.status === 200,
    })

    const orders = `${gateway}/orders`
    const bearer = { authorization: `Bearer ${token}` }
    const calls: [string, string, RequestInit, number][] = [
      ['Without a token the gateway does not even ask the authorizer.', `curl -s -i ${orders}`, {}, 401],
      [
        'With the token the call reaches the API.',
        `curl -s -i -H "Authorization: Bearer $TOKEN" ${orders}`,
        { headers: bearer },
        200,
      ],
      [
        'Placing an order needs orders:write, which this token does not carry.',
        `curl -s -i -H "Authorization: Bearer $TOKEN" -d '{"item":"Arch"}' ${orders}`,
        { method: 'POST', headers: bearer, body: '{"item":"Arch"}' },
        403,
      ],
    ]
    for (const [title, shell, init, expected] of calls) {
      const answer = await ask(orders, init)
      step({
        title,
        shell: [shell],
        status: answer.status,
        answer: `${answer.status}  ${shorten(answer.text, 80)}`,
        ok: answer.status === expected,
      })
    }

    const introspection = `curl -s -u "$CLIENT:$CLIENT_SECRET" -d token=$TOKEN ${issuer}/introspect`
    const before = await postForm(`${issuer}/introspect`, { token }, client)
    step({
      title: 'Introspection says what the token is about (RFC 7662).',
      shell: [introspection],
      status: before.status,
      answer: `${before.status}  active: ${before.json.active}, scope: ${before.json.scope}`,
      ok: before.json.active === true,
    })
    const revoked = await postForm(`${issuer}/revoke`, { token }, client)
    const after = await postForm(`${issuer}/introspect`, { token }, client)
    step({
      title: 'The token is revoked (RFC 7009), and introspection knows at once.',
      shell: [`curl -s -u "$CLIENT:$CLIENT_SECRET" -d token=$TOKEN ${issuer}/revoke`, introspection],
      status: revoked.status,
      answer: `${revoked.status}, then ${after.text}\nThe gateway checks JWTs by their signature: in this version it lets this one through until it expires.`,
      ok: revoked.status === 200 && after.json.active === false,
    })
  } finally {
    if (!keep) await parts.removeClient(id)
  }
  say('')
  say(
    keep
      ? `"${id}" stays until the next start.`
      : `"${id}" is removed again; with --keep it stays, and the commands work by hand.`,
  )
  return report()
}

function serviceClient(id: string, resource: string): ClientFields {
  return {
    id,
    name: 'A service on tour',
    kind: 'service',
    authMethod: 'client_secret_basic',
    firstParty: false,
    redirectUris: [],
    postLogoutRedirectUris: [],
    responseModes: ['query'],
    requirePar: false,
    dpop: 'optional',
    refresh: 'none',
    scopes: { [resource]: ['orders:read'] },
    serves: [],
  }
}

function describe(token: string): string {
  const { iss, sub, aud, scope } = decodeJwt(token)
  return `It says: iss ${iss}, sub ${sub}, aud ${aud}, scope ${scope}`
}
