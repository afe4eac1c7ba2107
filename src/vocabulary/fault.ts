// A failure that the operator can mend: a wrong setting, a port in use, a file that cannot be read. The terminal shows its
// two sentences and no stack. Programming errors are ordinary Errors.

/** What happened, and what to do about it; both are complete sentences for a terminal. */
export class OperatorFault extends Error {
  readonly advice: string
  readonly exitCode: 1 | 2

  /**
   * @param message what happened
   * @param advice what to do
   * @param options `exitCode` 2 for wrong usage of a command, else 1; `cause` for the log
   */
  constructor(message: string, advice: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'OperatorFault'
    this.advice = advice
    this.exitCode = options.exitCode ?? 1
  }
}
