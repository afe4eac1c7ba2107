// What we say when the database cannot be used: an Error with the SQLSTATE that fits, which the front door knows as an outage.

/**
 * `08001` no connection, `08003` the connection was given up, `08004` the server was refused by us, `08006` no answer in time,
 * `08007` a commit whose outcome nobody knows, `40000` a commit that did not happen.
 */
export type OutageCode = '08001' | '08003' | '08004' | '08006' | '08007' | '40000'

/** @returns an error with that SQLSTATE as its `code` */
export function outage(code: OutageCode, message: string, cause?: unknown): Error & { code: OutageCode } {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code })
}
