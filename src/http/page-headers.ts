// The headers of every HTML page: no script, no frame, no cache, no referrer (SECURITY S-005, S-006).

/**
 * @param options `formAction`: addresses that a form of this page may lead to besides ourselves, directly or by redirect (a
 *   browser checks the redirects after a form, too, so sign-in and consent name the app's redirect URI). Reduced to their origin.
 * @returns the headers, `Content-Type` included
 * @throws TypeError for an address that is no absolute URL or that could run a script
 */
export function pageHeaders(options: { formAction?: readonly string[] } = {}): Record<string, string> {
  const formAction = ["'self'", ...new Set((options.formAction ?? []).map(sourceOf))]
  return {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': [
      "default-src 'none'",
      "style-src 'self'",
      "img-src 'self'",
      `form-action ${formAction.join(' ')}`,
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; '),
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
    'X-Robots-Tag': 'noindex',
  }
}

/** One source expression of CSP 3 section 2.3.1: an origin, or the scheme of a native app. */
function sourceOf(address: string): string {
  const url = new URL(address)
  const web = url.protocol === 'https:' || url.protocol === 'http:'
  // The grammar has no IPv6 addresses, so [::1] can only be named by its scheme.
  if (web) return url.hostname.startsWith('[') ? url.protocol : url.origin
  if (/^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol)) return url.protocol
  throw new TypeError(`Not an address that a form may lead to: ${url.protocol}`)
}
