// One JSON line per decision. Never the token, never a header; what a caller can choose is cut short.
import type { Authorization } from './authorize.ts'
import type { GatewayCall } from './event.ts'

export interface LogEntry {
  readonly time: string
  readonly level: 'info' | 'warn' | 'error'
  readonly msg: 'decision' | 'fault' | 'keys'
  readonly [field: string]: unknown
}

export type Log = (entry: LogEntry) => void

const MAX_TEXT = 200

/** The default log: a line on standard output, which Lambda hands to CloudWatch. */
export function writeLine(entry: LogEntry): void {
  process.stdout.write(`${JSON.stringify(entry)}\n`)
}

/** @returns the line of one decision; `path` only where no route names the call */
export function decisionEntry(time: Date, call: GatewayCall, authorization: Authorization): LogEntry {
  const { decision, claims, route, kid, detail } = authorization
  return {
    time: time.toISOString(),
    level: 'info',
    msg: 'decision',
    outcome: decision.outcome,
    reason: decision.outcome === 'allow' ? undefined : decision.reason,
    detail: cut(detail),
    method: cut(call.method),
    route,
    path: route === undefined ? cut(call.path) : undefined,
    kid: cut(kid),
    client_id: claims?.client_id,
    sub: claims?.sub,
    jti: claims?.jti,
    request_id: cut(call.requestId),
  }
}

function cut(text: string | undefined): string | undefined {
  return text !== undefined && text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}
