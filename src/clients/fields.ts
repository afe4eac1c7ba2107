// The document of one client, as YAML, the command line and the operator API spell it: reading with every fault, and writing.
import { z } from 'zod'
import { plainTextFault } from '../http/plain-text-fault.ts'
import { type DocumentFault, type Parts, type Path, type Reading, readFields } from '../vocabulary/document.ts'
import { isLoopback } from '../vocabulary/issuer.ts'
import { isScope } from '../vocabulary/scopes.ts'
import {
  AUTH_METHODS,
  type AuthMethod,
  CLIENT_KINDS,
  type ClientFields,
  type ClientKind,
  DPOP_POLICIES,
  isClientId,
  isNativeApp,
  REFRESH_POLICIES,
  RESPONSE_MODES,
  type RefreshPolicy,
  type ResponseMode,
} from './client.ts'
import { jwksFaults } from './jwks.ts'
import { redirectUriFault } from './redirect-uri.ts'

const LONGEST_NAME = 100
/** Subjects of accounts begin with it, so no client id may (RFC 9700 section 4.15). */
const ACCOUNT_PREFIX = 'usr_'

const text = z.string('must be text')
const textList = z.array(text, 'must be a list')
const checked = (fault: (value: string) => string | undefined) =>
  text.superRefine((value, context) => {
    const message = fault(value)
    if (message) context.addIssue({ code: 'custom', message })
  })
const oneOf = <T extends string>(words: readonly T[]) => z.enum(words, `must be one of ${words.join(', ')}`)

const shape = {
  id: checked(clientIdFault),
  name: checked((name) => plainTextFault(name, LONGEST_NAME)),
  kind: oneOf(CLIENT_KINDS),
  auth: checked(authFault)
    .transform((auth) => auth as AuthMethod)
    .optional(),
  first_party: z.boolean('must be true or false').optional(),
  redirect_uris: textList.optional(),
  post_logout_redirect_uris: textList.optional(),
  response_modes: z.array(oneOf(RESPONSE_MODES), 'must be a list').min(1, 'names no mode').optional(),
  refresh: oneOf(REFRESH_POLICIES).optional(),
  require_par: z.boolean('must be true or false').optional(),
  dpop: oneOf(DPOP_POLICIES).optional(),
  scopes: z
    .record(z.string(), z.array(checked(scopeFault), 'must be a list of scopes'), 'must be a map of resource to scopes')
    .optional(),
  serves: textList.optional(),
  jwks: z
    .unknown()
    .superRefine((value, context) => {
      if (value === undefined) return
      for (const { path, text: message } of jwksFaults(value))
        context.addIssue({ code: 'custom', message, path: [...path] })
    })
    .optional(),
  jwks_uri: checked(jwksUriFault).optional(),
}

const LIST_FIELDS = ['redirect_uris', 'post_logout_redirect_uris', 'response_modes', 'serves'] as const

const DEFAULT_AUTH: Readonly<Record<ClientKind, AuthMethod>> = {
  web: 'client_secret_basic',
  service: 'client_secret_basic',
  agent: 'client_secret_basic',
  spa: 'none',
  native: 'none',
}

const DEFAULT_REFRESH: Readonly<Record<ClientKind, RefreshPolicy>> = {
  web: 'session',
  spa: 'session',
  native: 'offline',
  agent: 'offline',
  service: 'none',
}

/**
 * Reads the document of one client. Whether the resources it names exist is not known here.
 * @param document a map of snake_case fields
 * @returns the client with defaults filled in, or all faults
 */
export function readClientFields(document: unknown): Reading<ClientFields> {
  const { parts, faults } = readFields(shape, document, 'a client')
  const broken = new Set(faults.map(({ path }) => path[0]))
  faults.push(...twinFaults(parts), ...redirectFaults(parts), ...kindFaults(parts, broken), ...keyFaults(parts, broken))
  if (faults.length > 0) return { ok: false, faults, parts: fill(parts) }
  return { ok: true, value: fill(parts) as ClientFields }
}

/** @returns the document of a client, every field spelled out; what `readClientFields` reads as the same client */
export function writeClientFields(client: ClientFields): Record<string, unknown> {
  return {
    id: client.id,
    name: client.name,
    kind: client.kind,
    auth: client.authMethod,
    first_party: client.firstParty,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    response_modes: client.responseModes,
    refresh: client.refresh,
    require_par: client.requirePar,
    dpop: client.dpop,
    scopes: client.scopes,
    serves: client.serves,
    ...(client.jwks && { jwks: client.jwks }),
    ...(client.jwksUri && { jwks_uri: client.jwksUri }),
  }
}

type ClientParts = Parts<typeof shape>

function fill(parts: ClientParts): Partial<ClientFields> {
  return {
    ...(parts.id !== undefined && { id: parts.id }),
    ...(parts.name !== undefined && { name: parts.name }),
    ...(parts.kind !== undefined && {
      kind: parts.kind,
      authMethod: parts.auth ?? DEFAULT_AUTH[parts.kind],
      refresh: parts.refresh ?? DEFAULT_REFRESH[parts.kind],
    }),
    firstParty: parts.first_party ?? false,
    requirePar: parts.require_par ?? false,
    dpop: parts.dpop ?? 'optional',
    redirectUris: parts.redirect_uris ?? [],
    postLogoutRedirectUris: parts.post_logout_redirect_uris ?? [],
    responseModes: parts.response_modes ?? (['query'] satisfies ResponseMode[]),
    scopes: parts.scopes ?? {},
    serves: parts.serves ?? [],
    ...(parts.jwks !== undefined && { jwks: parts.jwks as ClientFields['jwks'] }),
    ...(parts.jwks_uri !== undefined && { jwksUri: parts.jwks_uri }),
  }
}

function twinFaults(parts: ClientParts): DocumentFault[] {
  const lists: [Path, readonly string[]][] = [
    ...LIST_FIELDS.map((field): [Path, readonly string[]] => [[field], parts[field] ?? []]),
    ...Object.entries(parts.scopes ?? {}).map(([id, scopes]): [Path, readonly string[]] => [['scopes', id], scopes]),
  ]
  return lists.flatMap(([path, list]) =>
    list.flatMap((entry, index) =>
      list.indexOf(entry) < index ? [{ path: [...path, index], text: 'is named twice' }] : [],
    ),
  )
}

function redirectFaults(parts: ClientParts): DocumentFault[] {
  // Of an unknown kind only what is wrong for every kind is told.
  const native =
    parts.kind === undefined || isNativeApp({ kind: parts.kind, authMethod: parts.auth ?? DEFAULT_AUTH[parts.kind] })
  return (['redirect_uris', 'post_logout_redirect_uris'] as const).flatMap((field) =>
    (parts[field] ?? []).flatMap((uri, index) => {
      const fault = redirectUriFault(uri, native)
      return fault === undefined
        ? []
        : [{ path: [field, index], text: `${fault} (${JSON.stringify(uri.slice(0, 200))})` }]
    }),
  )
}

function kindFaults(parts: ClientParts, broken: ReadonlySet<unknown>): DocumentFault[] {
  const { kind, auth, refresh } = parts
  if (kind === undefined) return []
  const isPublicKind = kind === 'spa' || kind === 'native'
  const logsInPeople = kind !== 'service'
  const has = (field: 'redirect_uris' | 'post_logout_redirect_uris' | 'serves') => (parts[field]?.length ?? 0) > 0
  const notForServices = 'is not for a service: nobody logs in through it'
  return faultsOf([
    [
      isPublicKind && auth !== undefined && auth !== 'none',
      'auth',
      `must be none: a ${kind} client cannot keep a secret`,
    ],
    [kind === 'service' && auth === 'none', 'auth', 'must not be none: a service has nothing but its credentials'],
    [
      logsInPeople && !has('redirect_uris') && !broken.has('redirect_uris'),
      'redirect_uris',
      `needs at least one entry for a ${kind} client`,
    ],
    [!logsInPeople && has('redirect_uris'), 'redirect_uris', notForServices],
    [!logsInPeople && has('post_logout_redirect_uris'), 'post_logout_redirect_uris', notForServices],
    [!logsInPeople && parts.require_par === true, 'require_par', notForServices],
    [
      !logsInPeople && refresh !== undefined && refresh !== 'none',
      'refresh',
      'must be none: a service asks again instead',
    ],
    [
      has('serves') && (auth ?? DEFAULT_AUTH[kind]) === 'none',
      'serves',
      'needs a client with credentials: introspection is not for public clients (RFC 7662 section 2.1)',
    ],
  ])
}

function keyFaults(parts: ClientParts, broken: ReadonlySet<unknown>): DocumentFault[] {
  const keys = (['jwks', 'jwks_uri'] as const).filter((field) => parts[field] !== undefined || broken.has(field))
  return faultsOf([
    [keys.length === 2, 'jwks_uri', 'is one too many: name either jwks or jwks_uri'],
    [
      keys.length === 0 && parts.auth === 'private_key_jwt',
      'auth',
      'needs the client’s public keys: add jwks or jwks_uri',
    ],
  ])
}

function faultsOf(table: readonly (readonly [bad: boolean, field: string, text: string])[]): DocumentFault[] {
  return table.flatMap(([bad, field, message]) => (bad ? [{ path: [field] as Path, text: message }] : []))
}

function clientIdFault(id: string): string | undefined {
  if (!isClientId(id)) return 'must be 1 to 128 letters, digits, dots, hyphens, underscores or tildes'
  return id.startsWith(ACCOUNT_PREFIX)
    ? `must not begin with ${ACCOUNT_PREFIX}: that is how the ids of people begin`
    : undefined
}

function authFault(auth: string): string | undefined {
  return (AUTH_METHODS as readonly string[]).includes(auth) ? undefined : `must be one of ${AUTH_METHODS.join(', ')}`
}

function scopeFault(scope: string): string | undefined {
  return isScope(scope)
    ? undefined
    : 'is not a scope: printable ASCII without spaces, quotes and backslashes (RFC 6749)'
}

function jwksUriFault(uri: string): string | undefined {
  if (!URL.canParse(uri)) return 'must be an https URL'
  const url = new URL(uri)
  // Keys from this very machine are fetched with GATEHOUSE_PROFILE=test only.
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) return 'must be an https URL'
  return url.username || url.password || url.hash ? 'must have no fragment and no credentials' : undefined
}
