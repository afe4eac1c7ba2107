// What HTTP leaves open to two readings, or to any amount, is refused before anybody reads it: a proxy in front may have chosen
// the other reading. What is not HTTP at all, Node refuses before us.
import type Koa from 'koa'
import { Problem } from './problem.ts'

/** Most header lines of a request; browsers and proxies send about thirty. */
const MOST_HEADERS = 100
/** Most fields of a query or form; an authorization request has about thirty. */
export const MOST_FIELDS = 100
/** Lines that Node keeps the first of, and others the last (RFC 9110 section 5.3, RFC 9112 section 3.2). */
const ONCE = ['host', 'authorization', 'content-type', 'content-encoding']
/** Forms are UTF-8 (RFC 6749 appendix B). Old libraries name one of the others for text that is the same in all of them. */
const CHARSETS = new Set(['', 'utf-8', 'utf8', 'us-ascii', 'iso-8859-1'])

/** @returns middleware; 400 and 431 end the connection, because nobody knows where the next request begins, or should */
export function wellFormed(): Koa.Middleware {
  return async (ctx, next) => {
    const { rawHeaders, headers, httpVersion } = ctx.req
    if (rawHeaders.length > 2 * MOST_HEADERS) {
      throw refused(431, 'headers_too_many', 'The request has more headers than this server takes.')
    }
    const names = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [name.toLowerCase()] : []))
    const twice = ONCE.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
    if (twice) throw refused(400, 'invalid_request', `The header ${twice} was sent twice.`)
    if (headers.host === undefined && httpVersion === '1.1') {
      throw refused(400, 'invalid_request', 'The header host is missing.') // RFC 9112 section 3.2
    }
    const coding = headers['transfer-encoding']
    if (coding !== undefined && (coding.trim().toLowerCase() !== 'chunked' || httpVersion === '1.0')) {
      throw refused(400, 'invalid_request', 'The only transfer coding that this server takes is chunked.')
    }
    const packed = headers['content-encoding']
    if (packed !== undefined && packed.trim().toLowerCase() !== 'identity') {
      throw new Problem(415, 'unsupported_media_type', 'Send the body as it is, not compressed.', {
        headers: { 'Accept-Encoding': 'identity' }, // RFC 9110 section 15.5.16
      })
    }
    if (!CHARSETS.has(ctx.request.charset.toLowerCase())) {
      throw new Problem(415, 'unsupported_media_type', 'Send text in UTF-8.')
    }
    if (countFields(ctx.querystring) > MOST_FIELDS) {
      throw new Problem(400, 'invalid_request', 'The address has more fields than this server takes.')
    }
    await next()
  }
}

/** @param text a query or a form. @returns how many fields it has, empty ones too */
export function countFields(text: string): number {
  return text === '' ? 0 : text.split('&').length
}

function refused(status: number, code: string, publicText: string): Problem {
  return new Problem(status, code, publicText, { headers: { Connection: 'close' } })
}
