// The document of one resource, as YAML, the command line and the operator API spell it: reading with every fault, and writing.
import { z } from 'zod'
import { plainTextFault } from '../http/plain-text-fault.ts'
import { below, type DocumentFault, isPlainObject, type Reading, readFields } from '../vocabulary/document.ts'
import { formatDuration, parseDuration } from '../vocabulary/duration.ts'
import { isLoopback } from '../vocabulary/issuer.ts'
import { RESERVED_SCOPES } from '../vocabulary/oidc-scopes.ts'
import { isScope } from '../vocabulary/scopes.ts'
import {
  type Resource,
  type ResourceScope,
  RISKS,
  SIGN_ALGORITHMS,
  type SignAlgorithm,
  TOKEN_FORMATS,
  type TokenFormat,
} from './resource.ts'

const LONGEST_ID = 500
const LONGEST_NAME = 100
const LONGEST_TEXT = 200
const LONGEST_SCOPE = 100
const DEFAULT_LIFETIME = '10m'
/** A JWT is believed until it expires by everyone who cannot ask us, so its life is short. */
const LONGEST_JWT = '15m'
const LONGEST_OPAQUE = '24h'

const text = z.string('must be text')
const checked = (fault: (value: string) => string | undefined) =>
  text.superRefine((value, context) => {
    const message = fault(value)
    if (message) context.addIssue({ code: 'custom', message })
  })

const shape = {
  id: checked(resourceIdFault),
  name: checked((name) => plainTextFault(name, LONGEST_NAME)),
  tokens: z.unknown(),
  scopes: z.unknown(),
}

const tokensShape = {
  format: checked(formatFault).optional(),
  sign: checked(signFault).optional(),
  lifetime: z
    .union([z.string(), z.number()], 'must be text like 10m')
    .superRefine((value, context) => {
      const message = durationFault(value)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .optional(),
}

const scopeShape = {
  text: checked((words) => plainTextFault(words, LONGEST_TEXT)),
  risk: z.enum(RISKS, `must be one of ${RISKS.join(', ')}`).optional(),
  default: z.boolean('must be true or false').optional(),
}

/**
 * Reads the document of one resource.
 * @param document a map of snake_case fields
 * @returns the resource with defaults filled in, or all faults
 */
export function readResourceFields(document: unknown): Reading<Resource> {
  const { parts, faults } = readFields(shape, document, 'a resource')
  const tokens = readTokens(parts.tokens)
  const scopes = readScopes(parts.scopes)
  faults.push(...below(['tokens'], tokens.faults), ...below(['scopes'], scopes.faults))
  const resource = {
    ...(parts.id !== undefined && { id: parts.id }),
    ...(parts.name !== undefined && { name: parts.name }),
    ...tokens.parts,
    ...(scopes.scopes && { scopes: scopes.scopes }),
  }
  return faults.length > 0 ? { ok: false, faults, parts: resource } : { ok: true, value: resource as Resource }
}

/** @returns the document of a resource, every field spelled out; what `readResourceFields` reads as the same resource */
export function writeResourceFields(resource: Resource): Record<string, unknown> {
  return {
    id: resource.id,
    name: resource.name,
    tokens: { format: resource.format, sign: resource.sign, lifetime: formatDuration(resource.lifetime) },
    scopes: Object.fromEntries(
      resource.scopes.map(({ name, text: words, risk, byDefault }) => [
        name,
        { text: words, risk, default: byDefault },
      ]),
    ),
  }
}

type TokenParts = Pick<Resource, 'format' | 'sign' | 'lifetime'>

function readTokens(document: unknown): { parts: Partial<TokenParts>; faults: readonly DocumentFault[] } {
  const { parts, faults } = readFields(tokensShape, document ?? {}, 'tokens')
  const format = (parts.format ?? 'jwt') as TokenFormat
  const lifetime = parseDuration(String(parts.lifetime ?? DEFAULT_LIFETIME))
  const longest = format === 'jwt' ? LONGEST_JWT : LONGEST_OPAQUE
  const formatIsRight = !faults.some(({ path }) => path[0] === 'format')
  if (formatIsRight && lifetime !== undefined && lifetime > (parseDuration(longest) as number)) {
    const why = format === 'jwt' ? 'a gateway believes a JWT until it expires; ' : ''
    faults.push({
      path: ['lifetime'],
      text: `is longer than ${longest}, the most for ${format} tokens (${why}use refresh tokens)`,
    })
  }
  return { parts: { format, sign: (parts.sign ?? 'ES256') as SignAlgorithm, lifetime }, faults }
}

function readScopes(document: unknown): { scopes?: readonly ResourceScope[]; faults: DocumentFault[] } {
  if (document === undefined) return { scopes: [], faults: [] }
  if (!isPlainObject(document)) return { faults: [{ path: [], text: 'must be a map of scope to words for people' }] }
  const faults: DocumentFault[] = []
  const scopes = Object.entries(document).map(([name, value]): ResourceScope => {
    const fault = scopeNameFault(name)
    if (fault) faults.push({ path: [name], text: fault })
    const { parts, faults: inside } = readFields(
      scopeShape,
      typeof value === 'string' ? { text: value } : value,
      'a scope',
    )
    faults.push(...below([name], simplify(value, inside)))
    const risk = parts.risk ?? 'normal'
    return { name, text: parts.text ?? '', risk, byDefault: parts.default ?? risk !== 'high' }
  })
  return { scopes, faults }
}

// The short form has no field `text` that a path could name.
function simplify(value: unknown, faults: readonly DocumentFault[]): readonly DocumentFault[] {
  if (typeof value === 'string') return faults.map((fault) => ({ ...fault, path: [] }))
  if (isPlainObject(value)) return faults
  return [{ path: [], text: 'must be words for the consent page, or { text, risk, default }' }]
}

function resourceIdFault(id: string): string | undefined {
  if (id.length > LONGEST_ID) return `is longer than ${LONGEST_ID} characters`
  if (!/^[\x21-\x7e]+$/.test(id) || !URL.canParse(id)) return 'must be an absolute URI like https://orders.example.com'
  if (id.includes('#')) return 'has a fragment (#), which a resource indicator may not have (RFC 8707)'
  const url = new URL(id)
  if (url.username || url.password) return 'carries a user name or password'
  const plainHttp = url.protocol === 'http:' && isLoopback(url)
  if (url.protocol === 'https:' || plainHttp) {
    return /^https?:\/\//.test(id) ? undefined : 'must be an absolute URI like https://orders.example.com'
  }
  if (url.protocol === 'http:') return 'must be https (http is for localhost, 127.0.0.1 and [::1] only)'
  return url.protocol === 'urn:' ? undefined : 'must be an https URL or a urn'
}

function scopeNameFault(name: string): string | undefined {
  if (RESERVED_SCOPES.includes(name)) return 'is a scope of OpenID Connect, which a resource cannot define'
  if (!isScope(name)) return 'is not a scope: printable ASCII without spaces, quotes and backslashes (RFC 6749)'
  return name.length > LONGEST_SCOPE ? `is longer than ${LONGEST_SCOPE} characters` : undefined
}

function formatFault(format: string): string | undefined {
  if (format === 'jwe') return 'jwe is not in this version yet; use jwt or opaque'
  return (TOKEN_FORMATS as readonly string[]).includes(format)
    ? undefined
    : `must be one of ${TOKEN_FORMATS.join(', ')}`
}

function signFault(algorithm: string): string | undefined {
  if (/^HS\d+$/.test(algorithm)) return `${algorithm} is not in this version yet; use ES256 or RS256`
  if ((SIGN_ALGORITHMS as readonly string[]).includes(algorithm)) return undefined
  return `must be one of ${SIGN_ALGORITHMS.join(', ')}`
}

function durationFault(value: string | number): string | undefined {
  if (typeof value === 'number') return `must have a unit: ${value}s, or minutes (m), hours (h), days (d)`
  return parseDuration(value) === undefined ? 'must be a whole number and a unit: 90s, 10m, 12h, 30d' : undefined
}
