// The door to the metrics: for who sits on this machine, or brings the token. For everybody else nothing is there.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import type Koa from 'koa'
import type { Metrics } from './metrics.ts'

export interface MetricsDoorParts {
  readonly metrics: Pick<Metrics, 'read' | 'contentType'>
  /** GATEHOUSE_METRICS_TOKEN */
  readonly token?: string
}

/** @returns middleware for `/metrics`; like health, it is asked by address, so it stands before the origin is pinned */
export function metricsDoor({ metrics, token }: MetricsDoorParts): Koa.Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/metrics') return next()
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') return
    if (!isFromHere(ctx.req) && !bringsToken(ctx.req, token)) return
    ctx.set('Cache-Control', 'no-store')
    ctx.type = metrics.contentType
    ctx.body = await metrics.read()
  }
}

/** What proxies add. Behind one on this machine every peer is a loopback address. */
const OF_PROXIES = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'via']

function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const { remoteAddress = '' } = socket
  if (!ipaddr.isValid(remoteAddress) || ipaddr.process(remoteAddress).range() !== 'loopback') return false
  return OF_PROXIES.every((name) => headers[name] === undefined)
}

/** `Authorization: Bearer <token>` (RFC 6750 section 2.1). */
function bringsToken({ headers }: IncomingMessage, token: string | undefined): boolean {
  const presented = /^Bearer ([^\s]+) *$/i.exec(headers.authorization ?? '')?.[1]
  return token !== undefined && presented !== undefined && timingSafeEqual(digest(presented), digest(token))
}

/** Of one length, whatever was presented. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
