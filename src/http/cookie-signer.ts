// Signs cookies with keys that may change while the server runs: new ones with the first, and whatever another key of the
// ring has signed is still ours.
import Keygrip from 'keygrip'

/** What Koa and the engine take in the place of a list of keys. */
export type CookieSigner = Keygrip

/**
 * @param parts `cookieKeys` gives the keys of the moment, that of new cookies first; `missed` hears of a signature that is by
 *   none of them, and may throw
 */
export function createCookieSigner({
  cookieKeys,
  missed,
}: {
  cookieKeys: () => readonly string[]
  missed: () => void
}): CookieSigner {
  const grip = () => new Keygrip(cookieKeys())
  const index = (data: unknown, signature: string) => {
    const found = grip().index(data, signature)
    if (found < 0) missed()
    return found
  }
  return {
    sign: (data) => grip().sign(data),
    index,
    verify: (data, signature) => index(data, signature) >= 0,
  }
}
