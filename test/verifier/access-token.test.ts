import { createAccessTokenVerifier, type VerifierSettings } from '../../src/verifier/access-token.ts'
import { createKeySet } from '../../src/verifier/key-set.ts'
import { AUDIENCE, ISSUER, mutations, sampleIssuer } from '../helpers/access-tokens.ts'

const now = () => new Date('2026-05-01T12:00:00Z')
const at = now().getTime() / 1000
const issuer = await sampleIssuer({ now })
const keys = createKeySet(issuer.jwks)
const settings: VerifierSettings = { issuer: ISSUER, audience: AUDIENCE, keys, now }
const verify = createAccessTokenVerifier(settings)
const mutated = await mutations(issuer)

describe('createAccessTokenVerifier', () => {
  it.each(['ES256', 'RS256'] as const)('accepts a sound %s token and returns its claims', async (alg) => {
    const verified = await verify(await issuer.sign({ alg }))
    expect(verified).toMatchObject({
      ok: true,
      kid: `sample-${alg}`,
      claims: { iss: ISSUER, aud: AUDIENCE, sub: 'ada', client_id: 'shop', scope: 'orders:read' },
    })
  })

  it('accepts the full media type as typ, and a list of exactly one audience', async () => {
    const token = await issuer.sign({ header: { typ: 'application/at+jwt' }, claims: { aud: [AUDIENCE] } })
    expect(await verify(token)).toMatchObject({ ok: true, claims: { aud: AUDIENCE } })
  })

  it.each(mutated)('$name: $reason', async ({ reason, token }) => {
    expect(await verify(token)).toMatchObject({ ok: false, reason })
  })

  it.each([
    ['exp', { exp: at - 9 }, true],
    ['exp', { exp: at - 10 }, false],
    ['nbf', { nbf: at + 10 }, true],
    ['nbf', { nbf: at + 11 }, false],
    ['iat', { iat: at + 10 }, true],
    ['iat', { iat: at + 11 }, false],
  ])('S-107 lets clocks differ by ten seconds and no more: %s %o', async (_, claims, ok) => {
    expect((await verify(await issuer.sign({ claims }))).ok).toBe(ok)
  })

  it('S-107 is not built without issuer, audience, keys, or with an algorithm that could be forged', () => {
    const build = (change: object) => () => createAccessTokenVerifier({ ...settings, ...change })
    expect(build({ issuer: '' })).toThrow('issuer')
    expect(build({ audience: undefined })).toThrow('audience')
    expect(build({ audience: '' })).toThrow('audience')
    expect(build({ audience: [] })).toThrow('audience')
    expect(build({ keys: undefined })).toThrow('key set')
    expect(build({ algorithms: [] })).toThrow('no algorithm')
    expect(build({ algorithms: ['ES256', 'HS256'] })).toThrow('HS256')
    expect(build({ algorithms: ['none'] })).toThrow('none')
  })

  it('takes any single audience when the caller says that it compares it itself', async () => {
    const any = createAccessTokenVerifier({ ...settings, audience: null })
    expect(await any(await issuer.sign({ claims: { aud: 'https://other.example' } }))).toMatchObject({
      ok: true,
      claims: { aud: 'https://other.example' },
    })
    expect(await any(await issuer.sign({ claims: { aud: ['a', 'b'] } }))).toMatchObject({ reason: 'wrong-audience' })
  })

  it('S-102 uses only the algorithms it was given', async () => {
    const onlyRsa = createAccessTokenVerifier({ ...settings, algorithms: ['RS256'] })
    expect(await onlyRsa(await issuer.sign({ alg: 'RS256' }))).toMatchObject({ ok: true })
    expect(await onlyRsa(await issuer.sign({ alg: 'ES256' }))).toMatchObject({ reason: 'bad-signature' })
  })

  it('asks for no key on behalf of tokens that cannot be ours', async () => {
    let asked = 0
    const counted = createAccessTokenVerifier({
      ...settings,
      keys: {
        getKey(header) {
          asked++
          return keys.getKey(header)
        },
      },
    })
    await counted(await issuer.sign({ claims: { iss: 'https://evil.example' }, header: { kid: 'theirs' } }))
    await counted('a.b.c')
    await counted('x'.repeat(9000))
    expect(asked).toBe(0)
    await counted(await issuer.sign())
    expect(asked).toBe(1)
  })

  it('says unavailable when keys cannot be had', async () => {
    const without = createAccessTokenVerifier({
      ...settings,
      keys: { getKey: async () => ({ ok: false, reason: 'unavailable' }) },
    })
    expect(await without(await issuer.sign())).toMatchObject({ ok: false, reason: 'unavailable' })
  })

  it('S-214 tells no part of the token in a refusal', async () => {
    for (const { token } of mutated) {
      const text = JSON.stringify(await verify(token))
      const canary = token.split('.').at(-1) as string
      if (canary.length > 20) expect(text).not.toContain(canary)
    }
  })
})

describe('createKeySet', () => {
  it('S-019 is not built from private, symmetric or shapeless keys', async () => {
    const { privateKey } = issuer.pairs.ES256!
    const jwk = await crypto.subtle.exportKey('jwk', privateKey)
    expect(() => createKeySet({ keys: [jwk as { kty: string }] })).toThrow('not public')
    expect(() => createKeySet({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'h' }] })).toThrow('"h"')
    expect(() => createKeySet({} as { keys: [] })).toThrow('malformed')
  })
})
