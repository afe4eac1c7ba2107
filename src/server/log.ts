// One line per request, and one per failure with its cause. Paths that carry an id are logged by their shape, queries never:
// codes, states and hints travel in them.
import type Koa from 'koa'
import { type Logger, pino, stdTimeFunctions } from 'pino'
import type { Caller } from '../http/client-ip.ts'
import type { Problem } from '../http/problem.ts'
import { standardError } from './log-lines.ts'

/** @returns the logger of a process; JSON lines on standard error, so that standard output stays a command's own */
export function createLogger(level: string): Logger {
  const tellLost = (lines: number) =>
    `${JSON.stringify({ level: 40, time: new Date().toISOString(), lines, msg: 'log lines were lost: they could not be written' })}\n`
  return pino(
    { level, base: undefined, timestamp: stdTimeFunctions.isoTime, serializers: { err: describeError } },
    standardError(tellLost),
  )
}

/** @returns middleware that logs every answer */
export function logRequests(log: Logger): Koa.Middleware {
  return async (ctx, next) => {
    const begun = performance.now()
    await next()
    const { address } = ctx.state.caller as Caller
    log.info(
      {
        request: ctx.state.requestId,
        method: ctx.method,
        path: shapeOf(ctx.path),
        status: ctx.status,
        ms: Math.round((performance.now() - begun) * 10) / 10,
        from: address,
      },
      'request',
    )
  }
}

/** @returns what `answerErrors` tells of failures */
export function reportProblem(log: Logger) {
  return (problem: Problem, ctx: Koa.Context): void => {
    const line = { request: ctx.state.requestId, status: problem.status, code: problem.code, detail: problem.message }
    if (problem.status >= 500) log.error({ ...line, err: problem.cause }, 'failed')
    else log.debug(line, 'refused')
  }
}

/** What looks like a random value is told of no path: ids and tokens also come where nobody asked for them. */
const RANDOM = /(?=[\w-]*[A-Z\d])[\w-]{16,}/g

function shapeOf(path: string): string {
  return path
    .replace(/^\/(interaction|authorize)\/[^/]+/, '/$1/:uid')
    .replace(RANDOM, ':value')
    .slice(0, 200)
}

/** A driver's error has fields that quote values of the statement that failed: only what is named here is kept. */
function describeError(error: unknown): object | undefined {
  if (!(error instanceof Error)) return error === undefined ? undefined : { message: String(error) }
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    message: error.message,
    ...(code !== undefined && { code }),
    stack: error.stack,
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  }
}
