// What may be registered as a redirect URI. The engine compares byte by byte (RFC 9700 section 2.1), so what is registered
// must be one exact URI in the form that URL parsers agree on.
import { isLoopback } from '../vocabulary/issuer.ts'

const LONGEST = 2000
// RFC 3986 appendix A: unreserved, reserved and percent-encoded characters.
const URI_CHARACTERS = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]*$/
const SCRIPT_SCHEMES = ['javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:']

/**
 * @param text a redirect URI or post-logout redirect URI
 * @param native whether the client is a native app; only those may have a scheme of their own (RFC 8252 section 7.1)
 * @returns what is wrong with it, as the end of a sentence, or undefined
 */
export function redirectUriFault(text: string, native: boolean): string | undefined {
  if (text.length > LONGEST) return `is longer than ${LONGEST} characters`
  if (!URI_CHARACTERS.test(text))
    return 'has characters that no URI has: spaces, backslashes, quotes or letters outside ASCII'
  if (text.includes('*')) return 'has a wildcard; each redirect URI is registered and compared exactly'
  if (text.includes('#')) return 'has a fragment (#), which a redirect URI may not have'
  if (!URL.canParse(text)) return 'must be an absolute URI like https://app.example.com/callback'
  const url = new URL(text)
  if (SCRIPT_SCHEMES.includes(url.protocol))
    return `has the scheme ${url.protocol}, which runs or reads instead of redirecting`
  if (url.username || url.password) return 'carries a user name or password'
  return schemeFault(url, native) ?? formFault(text, url)
}

function schemeFault(url: URL, native: boolean): string | undefined {
  switch (url.protocol) {
    case 'https:':
      // A claimed https URI is claimed by a domain; on loopback nobody can claim it (RFC 8252 section 7.2).
      return native && isLoopback(url) ? 'must be http on loopback, for a native app' : undefined
    case 'http:':
      return isLoopback(url) ? undefined : 'must be https (http is for localhost, 127.0.0.1 and [::1] only)'
    default:
      if (!native) return `must be https; a scheme like ${url.protocol} is for native apps only`
      if (!url.protocol.includes('.')) return 'must have a scheme with a dot, like com.example.app:/callback (RFC 8252)'
      return undefined
  }
}

// Dot segments, default ports, upper-case hosts, missing slashes: parsers repair these, each in its own way.
function formFault(text: string, url: URL): string | undefined {
  const sameBesidesRoot = url.pathname === '/' && text === url.href.replace(/^(https?:\/\/[^/?]+)\//, '$1')
  return text === url.href || sameBesidesRoot ? undefined : `is not in its normal form; write ${url.href}`
}
