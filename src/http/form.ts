// Reads a small HTML form: every field one string.
import { bodyParser } from '@koa/bodyparser'
import type Koa from 'koa'
import { Problem } from './problem.ts'
import { countFields, MOST_FIELDS } from './well-formed.ts'

const LIMIT = '56kb'

/** Middleware for routes that take a form; any other kind of body is refused, and one of too many fields. */
export function readForm(): Koa.Middleware {
  const parse = bodyParser({ enableTypes: ['form'], formLimit: LIMIT, encoding: 'utf-8' })
  return async (ctx, next) => {
    if (!ctx.is('application/x-www-form-urlencoded')) {
      throw new Problem(415, 'unsupported_media_type', 'Send this as an HTML form.')
    }
    await parse(ctx, async () => {
      // A parser of its own stops at some number, and what comes behind would be neither read nor refused.
      if (countFields(ctx.request.rawBody) > MOST_FIELDS) {
        throw new Problem(400, 'invalid_request', 'The form has more fields than this server takes.')
      }
      await next()
    })
  }
}

/**
 * @returns the value of a field, '' when it is absent
 * @throws Problem 400 when the field came more than once, or nested, or is longer than `most` characters
 */
export function field(ctx: Koa.Context, name: string, most = 2048): string {
  const value = (ctx.request.body as Record<string, unknown> | undefined)?.[name] ?? ''
  if (typeof value !== 'string' || value.length > most) {
    throw new Problem(400, 'invalid_request', 'The form was not filled in as expected. Go back and try again.', {
      detail: `field ${name}`,
    })
  }
  return value
}
