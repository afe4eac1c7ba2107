// How a new client secret is shown, once.

/** @returns the part of a JSON answer that carries the secret of a client, if it has one */
export function secretsOf(id: string, secret: string | undefined): Record<string, { client_secret: string }> {
  return secret === undefined ? {} : Object.fromEntries([[id, { client_secret: secret }]])
}

/** @returns the same for people; '' for a client without a secret */
export function secretText(secret: string | undefined): string {
  return secret === undefined ? '' : `\nIts secret, shown this once:\n\n  ${secret}\n`
}
