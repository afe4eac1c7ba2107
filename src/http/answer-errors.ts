// The one place where what we throw becomes a response: a page for people, JSON for programs. The caller gets help and a
// request id; the log gets the truth.
import type Koa from 'koa'
import { Problem } from './problem.ts'
import { showPage } from './show-page.ts'

type Report = (problem: Problem, ctx: Koa.Context) => void

/**
 * @param report is told every failure, with its cause
 */
export function answerErrors(report: Report): Koa.Middleware {
  return async (ctx, next) => {
    try {
      await next()
      if (ctx.status === 404 && ctx.body == null) throw notFound()
    } catch (error) {
      const problem = asProblem(error)
      report(problem, ctx)
      answer(ctx, problem)
    }
  }
}

function answer(ctx: Koa.Context, problem: Problem): void {
  const requestId = String(ctx.state.requestId ?? '')
  // What was prepared for an answer that never came about, such as the cookie of a session that was not stored.
  for (const name of ['Set-Cookie', 'Location']) ctx.remove(name)
  ctx.set(problem.headers)
  if (ctx.accepts('json', 'html') === 'html') {
    const words = {
      title: TITLES[problem.status] ?? FALLBACK_TITLE,
      what: problem.publicText,
      whatToDo: ADVICE[problem.status] ?? '',
    }
    showPage(ctx, 'error', { ...words, requestId, code: problem.code }, { status: problem.status })
    return
  }
  ctx.status = problem.status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error: problem.code, error_description: problem.publicText, request_id: requestId }
}

const FALLBACK_TITLE = 'That did not work'

const TITLES: Record<number, string> = {
  403: 'Not allowed',
  404: 'There is no page here',
  405: 'That is not how this address is used',
  413: 'That is too much',
  421: 'Wrong address',
  500: 'Something went wrong',
  503: 'Too busy, or not ready yet',
}

const ADVICE: Record<number, string> = {
  404: 'Check the address, or go back to the app that sent you here.',
  405: 'Go back to the app that sent you here.',
  500: 'Try again in a minute. If it happens again, tell the operator the request id below.',
  503: 'Try again in a few seconds.',
}

function notFound(): Problem {
  return new Problem(404, 'not_found', 'Nothing is at this address.')
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const status = (error as { status?: unknown } | null)?.status
  if (status === 413)
    return new Problem(413, 'too_large', 'The request is larger than this server takes.', { cause: error })
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new Problem(status, 'invalid_request', 'The request cannot be read. Check how it is written.', {
      cause: error,
    })
  }
  if (isDatabaseOutage(error)) {
    return new Problem(503, 'temporarily_unavailable', 'The server cannot reach its database right now.', {
      cause: error,
      headers: { 'Retry-After': '2' },
    })
  }
  return new Problem(500, 'server_error', 'This is our fault, not yours. It has been noted.', { cause: error })
}

// Connections that fail or were cut by us (class 08), transactions that stood in each other's way or could not commit (40),
// disk, memory or connections used up (53), files that cannot be written (58030), shutdown, restart and sessions that were
// ended (57P0x, 25P03, 25P04), waits that were cut short (55P03, 57014), a server that takes no writes (25006), and what pg,
// Kysely and Node say without a code.
const OUTAGE_CODES =
  /^(08...|40...|53...|57P0[1-5]|25006|25P0[34]|55P03|57014|58030|ECONNREFUSED|ECONNRESET|ECONNABORTED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT|EPIPE|ETIMEDOUT)$/
const OUTAGE_WORDS =
  /timeout exceeded when trying to connect|Connection terminated|is not queryable|connection has been discarded/

/** @returns whether the database could not be reached, as opposed to having refused what we asked of it */
export function isDatabaseOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = String((error as { code?: unknown }).code ?? '')
  return OUTAGE_CODES.test(code) || OUTAGE_WORDS.test(error.message) || isDatabaseOutage(error.cause)
}
