// What somebody hears whose tries are used up.
import type Koa from 'koa'
import { Problem } from '../http/problem.ts'
import type { ThrottledTry } from './create.ts'

/**
 * Answers 429 with `Retry-After` (RFC 6585 section 4, RFC 9110 section 10.2.3): the form again, or JSON for a program.
 * @param showForm shows the form as it was filled in, with this sentence above it
 * @throws Problem for whoever wants JSON rather than HTML; `slow_down` is the word of RFC 8628 section 3.5
 */
export function refuseTry(ctx: Koa.Context, refusal: ThrottledTry, showForm: (text: string) => void): void {
  const text = `Too many tries. ${tellWait(refusal)}`
  const headers = { 'Retry-After': String(refusal.seconds) }
  if (ctx.accepts('html', 'json') === 'json') throw new Problem(429, 'slow_down', text, { headers })
  ctx.set(headers)
  showForm(text)
}

/** To the minute, rounded up, so that nobody comes too early; to the second where it is soon. */
function tellWait({ seconds, at }: ThrottledTry): string {
  const soon = seconds < 100
  const count = soon ? seconds : Math.ceil(seconds / 60)
  const unit = soon ? 'second' : 'minute'
  const step = soon ? 1000 : 60_000
  const time = new Date(Math.ceil(at.getTime() / step) * step).toISOString().slice(11, soon ? 19 : 16)
  return `Try again in ${count} ${unit}${count === 1 ? '' : 's'}, at ${time} UTC.`
}
