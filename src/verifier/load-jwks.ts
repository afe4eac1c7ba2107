// Gets an issuer's JWK Set over the network: discovery once, then the set itself. Uses node:https, not fetch: the fetch
// stack alone costs a cold start about 50 ms.
import type { IncomingMessage } from 'node:http'
import type { JSONWebKeySet } from 'jose'
import { issuerFault } from '../vocabulary/issuer.ts'
import type { LoadedKeys } from './remote-key-set.ts'

const MAX_BODY = 64 * 1024
const TIMEOUT = 1500

/**
 * Makes the `load` of a remote key set. Each load takes at most 1.5 s, follows no redirect, and reads at most 64 KiB.
 * `jwks_uri` comes from `<issuer>/.well-known/openid-configuration`, whose `issuer` must be the very text given here and
 * whose `jwks_uri` must be on the issuer's own origin.
 * @param issuer https, or http on this machine
 * @throws TypeError for an issuer that is neither
 */
export function createJwksLoader(issuer: string): () => Promise<LoadedKeys> {
  const fault = issuerFault(issuer)
  if (fault) throw new TypeError(`The issuer ${fault}`)
  let jwksUri: URL | undefined
  return async () => {
    const signal = AbortSignal.timeout(TIMEOUT)
    try {
      jwksUri ??= await discover(issuer, signal)
      const { body, headers } = await getJson(jwksUri, signal)
      return { jwks: body as unknown as JSONWebKeySet, maxAge: maxAgeOf(headers['cache-control']) }
    } catch (error) {
      jwksUri = undefined // it may have moved
      throw signal.aborted ? new Error(`${issuer} did not answer within ${TIMEOUT} ms`, { cause: error }) : error
    }
  }
}

async function discover(issuer: string, signal: AbortSignal): Promise<URL> {
  const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  const { body } = await getJson(url, signal)
  if (body.issuer !== issuer) throw new Error(`${url.href} is the document of another issuer`)
  if (typeof body.jwks_uri !== 'string' || !URL.canParse(body.jwks_uri)) throw new Error(`${url.href} has no jwks_uri`)
  const jwksUri = new URL(body.jwks_uri)
  if (jwksUri.origin !== url.origin) throw new Error(`${url.href} has a jwks_uri on another origin`)
  return jwksUri
}

interface JsonAnswer {
  readonly body: Record<string, unknown>
  readonly headers: IncomingMessage['headers']
}

async function getJson(url: URL, signal: AbortSignal): Promise<JsonAnswer> {
  const { get } = url.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { signal, headers: { accept: 'application/json' } }, resolve).on('error', reject)
  })
  if (answer.statusCode !== 200) {
    answer.destroy()
    throw new Error(`${url.href} answered ${answer.statusCode}`)
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new Error(`${url.href} sent more than ${MAX_BODY} bytes`)
    chunks.push(chunk)
  }
  const body = parse(Buffer.concat(chunks).toString())
  if (typeof body !== 'object' || body === null) throw new Error(`${url.href} did not send a JSON object`)
  return { body: body as Record<string, unknown>, headers: answer.headers }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function maxAgeOf(cacheControl: string | undefined): number | undefined {
  const seconds = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(cacheControl ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
