// Two texts per failure: the stranger gets help, the operator gets the truth.

/** A refusal or failure of one request that `answer-errors` turns into a response. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly publicText: string
  readonly headers: Record<string, string>

  /**
   * @param status HTTP status
   * @param code machine-readable word, for JSON answers
   * @param publicText one or two sentences for the caller: what happened, what to do
   * @param options `detail` is for the log only; `headers` are added to the answer
   */
  constructor(
    status: number,
    code: string,
    publicText: string,
    options: { cause?: unknown; detail?: string; headers?: Record<string, string> } = {},
  ) {
    super(options.detail ?? publicText, { cause: options.cause })
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.publicText = publicText
    this.headers = options.headers ?? {}
  }
}
