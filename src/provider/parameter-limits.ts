// How much a request to the protocol's endpoints may say: one long scope or state must not cost work (CVE-2026-4634), nor one that
// no database keeps.
import { errors } from 'oidc-provider'
import { MOST_FIELDS } from '../http/well-formed.ts'

/** Longest value of a request parameter, in characters; what is not named gets the last. */
const LONGEST: Readonly<Record<string, number>> = {
  client_id: 256,
  login_hint: 320,
  claims: 8192,
  id_token_hint: 8192,
  client_assertion: 8192,
  token: 16_384,
}
const LONGEST_OTHER = 2048
/** Most values of a parameter that may be repeated (`resource`): each costs a look-up. */
const MOST_VALUES = 20

/**
 * @param params those that the endpoint reads
 * @param body the whole form; also what nobody reads counts: the library's parser stops at a thousand, and takes what it has
 * @throws InvalidRequest, which is never answered by redirect: that would carry the value on
 */
export function checkParameters(params: Readonly<Record<string, unknown>>, body: object = {}): void {
  if (Object.values(body).flat().length > MOST_FIELDS) throw refused('the form has too many fields')
  for (const [name, value] of Object.entries(params)) {
    const texts = [value].flat().filter((one) => typeof one === 'string')
    const longest = LONGEST[name] ?? LONGEST_OTHER
    if (texts.some((text) => text.length > longest)) throw refused(`${name} is too long`)
    if (texts.length > MOST_VALUES) throw refused(`${name} is given too often`)
    if (texts.some((text) => text.includes('\0'))) throw refused(`${name} has a character that is not allowed`)
  }
}

function refused(why: string): Error {
  return Object.assign(new errors.InvalidRequest(why), { allow_redirect: false })
}
