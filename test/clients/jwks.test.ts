import { generateKeyPairSync } from 'node:crypto'
import { jwksFaults } from '../../src/clients/jwks.ts'

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })
const faults = (...keys: unknown[]) => jwksFaults({ keys }).map(({ text }) => text)

describe('the keys of a client', () => {
  it('S-020 refuses weak keys: RSA below 2048 bits, curves below P-256 or unknown ones', () => {
    expect(faults(rsa(1024))).toEqual(['is an RSA key of 1024 bits; at least 2048 are needed'])
    expect(faults(ec('secp256k1').publicKey.export({ format: 'jwk' }))).toEqual([expect.stringMatching(/curves P-256/)])
    expect(faults({ kty: 'EC', crv: 'P-192', x: 'AA', y: 'AA' })).toEqual([expect.stringMatching(/curves P-256/)])
    expect(faults(rsa(2048), ec('P-256').publicKey.export({ format: 'jwk' }))).toEqual([])
    const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    expect(faults({ ...ed25519, kid: 'a' })).toEqual([])
  })

  it('refuses private and symmetric keys without repeating them', () => {
    const privateKey = ec('P-256').privateKey.export({ format: 'jwk' })
    const [text] = faults(privateKey)
    expect(text).toMatch(/private members/)
    expect(text).not.toContain(privateKey.d)
    expect(faults({ kty: 'oct', k: 'c2VjcmV0' })).toEqual([expect.stringMatching(/symmetric/)])
  })

  it('refuses what is no key, twice the same kid, and empty sets', () => {
    const good = ec('P-256').publicKey.export({ format: 'jwk' })
    expect(faults({ ...good, x: good.y })).toEqual(['is not a valid public key'])
    expect(faults({ ...good, kid: 'a' }, { ...good, kid: 'a' })).toEqual(['has the kid of another key'])
    expect(faults({ kty: 'AKP' }, 'text')).toEqual(['must be of kty RSA, EC or OKP', 'must be a JWK: a map with a kty'])
    expect(faults()).toEqual(['must have 1 to 20 keys'])
    expect(jwksFaults('text')).toHaveLength(1)
  })
})
