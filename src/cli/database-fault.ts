// A database that cannot do what a command asks of it, in an operator's words.
import { isDatabaseOutage } from '../http/answer-errors.ts'
import { OperatorFault } from '../vocabulary/fault.ts'

const SQLSTATE = /^\d[0-9A-Z]{4}$/
const NOT_DONE = 'What it refused was not done.'

/**
 * @param error what a command threw
 * @returns what to say instead, when the database is at fault for it
 */
export function databaseFault(error: unknown): OperatorFault | undefined {
  if (!(error instanceof Error) || error instanceof OperatorFault || !isDatabaseOutage(error)) return undefined
  const causes = [...causesOf(error)]
  const codes = causes.map(({ code }) => String(code))
  // A file that is missing is no fault of the database.
  if (!codes.some((code) => SQLSTATE.test(code))) return undefined
  const message = causes.at(-1)!.message
  const fault = (what: string, advice: string) => new OperatorFault(`${what}: ${message}.`, advice, { cause: error })
  if (codes.includes('53100')) {
    return fault('The database has no space left on its disk', `${NOT_DONE} Make room there, and try again.`)
  }
  if (codes.includes('08007')) {
    return fault('The database went away', 'Whether it was done is not known: look before you try again.')
  }
  return fault('The database does not do it now', `${NOT_DONE} Try again when it is well.`)
}

function* causesOf(error: Error): Generator<Error & { code?: unknown }> {
  yield error
  if (error.cause instanceof Error) yield* causesOf(error.cause)
}
