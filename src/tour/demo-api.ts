// The demo API behind the local gateway: orders, kept in memory. It trusts its gateway for who calls.
import type { Backend, BackendRequest, BackendResponse } from '../gateway/backend.ts'
import { routeMapOf } from '../vocabulary/route-map.ts'

/** What each call of the demo asks for. */
export const DEMO_ROUTES = routeMapOf({
  'GET /orders': ['orders:read'],
  'POST /orders': ['orders:write'],
})

/** Scopes of the demo's resource with their words on the consent page. */
export const DEMO_SCOPES = { 'orders:read': 'See your orders', 'orders:write': 'Place orders' }

/** @returns the id of the demo's resource, the audience of its tokens */
export function demoAudience(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/demo/orders`
}

interface Order {
  readonly id: number
  readonly item: string
  readonly quantity: number
  /** `sub` of the token that placed it */
  readonly placedBy: string
}

const KEPT = 100
const MAX_ITEM_LENGTH = 100

/** @returns the demo API with two orders in it; it keeps the last hundred */
export function createDemoApi(): Backend {
  let orders: readonly Order[] = [
    { id: 1, item: 'Bridge, stone', quantity: 1, placedBy: 'demo' },
    { id: 2, item: 'Lantern, iron', quantity: 12, placedBy: 'demo' },
  ]
  let lastId = orders.length
  return async function demoApi(request) {
    if (request.method === 'GET') return json(200, { orders, caller: callerOf(request) })
    const order = readOrder(request.body)
    if (!order) {
      return json(400, {
        error: `Send JSON like {"item":"Arch","quantity":1}; item up to ${MAX_ITEM_LENGTH} characters.`,
      })
    }
    lastId += 1
    const placed = { id: lastId, ...order, placedBy: callerOf(request).sub }
    orders = [...orders, placed].slice(-KEPT)
    return json(201, placed)
  }
}

function callerOf({ authorizer }: BackendRequest) {
  const { sub, client_id, scope } = authorizer
  return { sub: String(sub), client_id: String(client_id), scope: String(scope) }
}

function readOrder(body: string): Pick<Order, 'item' | 'quantity'> | undefined {
  try {
    const { item, quantity = 1 } = JSON.parse(body)
    const sound =
      typeof item === 'string' &&
      item !== '' &&
      item.length <= MAX_ITEM_LENGTH &&
      Number.isSafeInteger(quantity) &&
      quantity > 0
    return sound ? { item, quantity } : undefined
  } catch {
    return undefined
  }
}

function json(status: number, body: object): BackendResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}
