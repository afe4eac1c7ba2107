// What an issuer URL may look like (RFC 8414 section 2; http on this machine only).

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]']

/** @returns whether the URL names this very machine: localhost, 127.0.0.1 or [::1] */
export function isLoopback(url: URL): boolean {
  return LOOPBACK_HOSTS.includes(url.hostname)
}

/** @returns what is wrong with `text` as an issuer, as the end of a sentence ("must …"), or undefined */
export function issuerFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL like https://id.example.com'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be an https URL'
  if (url.protocol === 'http:' && !isLoopback(url))
    return 'must be https (http is for localhost, 127.0.0.1 and [::1] only)'
  if (url.search || url.hash || url.username || url.password) return 'must have no query, fragment or credentials'
  return undefined
}
