import type { Resource } from '../../src/resources/resource.ts'
import { allowedScopes, defaultScopes } from '../../src/resources/scope-policy.ts'

const scope = (name: string, byDefault = true) => ({ name, text: name, risk: 'normal' as const, byDefault })
const orders: Pick<Resource, 'id' | 'scopes'> = {
  id: 'https://orders.example.com',
  scopes: [scope('orders:read'), scope('orders:write', false), scope('orders:export')],
}
const client = (scopes: Record<string, string[]>) => ({ scopes })

describe('the scopes of a client', () => {
  it('S-077 are those it is registered for and the resource has', () => {
    const shop = client({
      [orders.id]: ['orders:write', 'orders:gone', 'orders:read'],
      'https://x.example': ['orders:export'],
    })
    expect(allowedScopes(orders, shop)).toEqual(['orders:read', 'orders:write'])
  })

  it('S-041 are none for a client that is not registered for the resource', () => {
    expect(allowedScopes(orders, client({}))).toEqual([])
    expect(defaultScopes(orders, client({}))).toEqual([])
    expect(allowedScopes({ ...orders, id: 'constructor' }, client({}))).toEqual([])
  })

  it('S-042 are given by default where the resource says so', () => {
    expect(defaultScopes(orders, client({ [orders.id]: ['orders:write', 'orders:read'] }))).toEqual(['orders:read'])
    expect(defaultScopes(orders, client({ [orders.id]: ['orders:write'] }))).toEqual([])
  })
})
