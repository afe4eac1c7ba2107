// The document of the README, and helpers to read what an apply refused.

export const SAMPLE = `resources:
  - id: https://orders.example.com            # RFC 8707 indicator = audience of its tokens
    name: Orders
    tokens: { format: jwt, sign: ES256, lifetime: 10m }
    scopes:
      orders:read: See your orders             # the words on the consent page
      orders:write: { text: Place and cancel orders, risk: high }
clients:
  - id: billing
    name: Billing service
    kind: service
    auth: client_secret_basic
    scopes: { https://orders.example.com: [orders:read] }
  - id: shop
    name: Corner Shop
    kind: web
    redirect_uris: [https://shop.example.com/callback]
    post_logout_redirect_uris: [https://shop.example.com/]
    refresh: session
    scopes: { https://orders.example.com: [orders:read, orders:write] }
  - id: orders-api
    name: Orders API
    kind: service
    serves: [https://orders.example.com]
users:
  - email: ada@example.com
    name: Ada Lovelace
`
