// The two files beside the pages: the stylesheet, named by its content so that it can be cached for good, and the mark.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type Koa from 'koa'

const views = join(import.meta.dirname, '../../views')
const stylesheet = readFileSync(join(views, 'gatehouse.css'))
const mark = readFileSync(join(views, 'mark.svg'))

/** Path of the stylesheet, with the first 8 hex digits of its SHA-256. */
export const stylesheetPath = `/assets/gatehouse.${createHash('sha256').update(stylesheet).digest('hex').slice(0, 8)}.css`

const YEAR = 'public, max-age=31536000, immutable'
const DAY = 'public, max-age=86400'

/** @returns middleware that answers GET and HEAD for the stylesheet and the favicon, 405 for other methods, and hands on the rest */
export function assets(): Koa.Middleware {
  return async function serveAssets(ctx, next) {
    const asset = find(ctx.path)
    if (!asset) return next()
    ctx.set('X-Content-Type-Options', 'nosniff')
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.status = 405
      ctx.set('Allow', 'GET, HEAD')
      return
    }
    ctx.set('Cache-Control', asset.cache)
    ctx.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
    ctx.set('Cross-Origin-Resource-Policy', 'same-origin')
    ctx.type = asset.type
    ctx.body = asset.body
  }
}

function find(path: string): { type: string; body: Buffer; cache: string } | undefined {
  if (path === stylesheetPath) return { type: 'text/css', body: stylesheet, cache: YEAR }
  // While a new version is rolled out, a page of one node may ask another node for its style: ours is close, but not to be kept.
  if (/^\/assets\/gatehouse\.[0-9a-f]{8}\.css$/.test(path))
    return { type: 'text/css', body: stylesheet, cache: 'no-store' }
  if (path === '/favicon.svg' || path === '/favicon.ico') return { type: 'image/svg+xml', body: mark, cache: DAY }
  return undefined
}
