// Reads the environment once, as one table, and reports every fault together. Only the roof sees the result.
import { resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { newSecret, readSecretFile, SECRET_BYTES, writeSecretFile } from './secrets/secret-file.ts'
import { OperatorFault } from './vocabulary/fault.ts'
import { isLoopback, issuerFault } from './vocabulary/issuer.ts'

export interface Config {
  readonly port: number
  readonly gatewayPort: number
  /** processes that serve */
  readonly workers: number
  /** addresses to listen on */
  readonly hosts: readonly string[]
  /** the one public URL, without a slash at the end */
  readonly issuer: string
  /** undefined: the embedded server */
  readonly databaseUrl?: string
  readonly migrateUrl?: string
  /** of one process, for requests */
  readonly databaseConnections: number
  readonly dataDir: string
  /** GATEHOUSE_SECRET, newest first; read when first needed, because a fresh embedded installation makes one */
  readonly secrets: readonly string[]
  readonly trustedProxies: readonly string[]
  /** that may be open at once, for peers that are no trusted proxies */
  readonly connectionsPerAddress: number
  /** bits: IPv6 addresses that agree in them are one caller */
  readonly ipv6Prefix: number
  readonly logLevel: string
  /** opens /metrics from elsewhere; undefined: nothing does */
  readonly metricsToken?: string
  readonly profile?: 'test'
}

const port = z.coerce
  .number({ error: 'must be a number' })
  .int('must be a whole number')
  .min(1, 'must be from 1 to 65535')
  .max(65535, 'must be from 1 to 65535')

// A socket's address, postgresql://user@/name?host=/folder, has no host in its place, which the rules of web URLs demand.
const postgresUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:\/\/\S+$/.test(text) && URL.canParse(text.replace('@/', '@socket/')), {
    error: 'must look like postgresql://user:password@host:5432/name',
  })

const environment = z.object({
  PORT: port.default(3000),
  GATEHOUSE_GATEWAY_PORT: port.optional(),
  HOST: z.string().min(1).optional(),
  WORKERS: z.coerce
    .number({ error: 'must be a number' })
    .int('must be a whole number')
    .min(1, 'must be from 1 to 16')
    .max(16, 'must be from 1 to 16')
    .default(1),
  GATEHOUSE_ISSUER: z.string().optional(),
  DATABASE_URL: postgresUrl.optional(),
  GATEHOUSE_MIGRATE_URL: postgresUrl.optional(),
  GATEHOUSE_DATABASE_CONNECTIONS: z.coerce
    .number({ error: 'must be a number' })
    .int('must be a whole number')
    .min(1, 'must be from 1 to 500')
    .max(500, 'must be from 1 to 500')
    .optional(),
  GATEHOUSE_DATA_DIR: z.string().min(1).default('./data'),
  GATEHOUSE_SECRET: z.string().optional(),
  GATEHOUSE_TRUSTED_PROXIES: z.string().default(''),
  GATEHOUSE_CONNECTIONS_PER_ADDRESS: z.coerce
    .number({ error: 'must be a number' })
    .int('must be a whole number')
    .min(10, 'must be from 10 to 10000')
    .max(10_000, 'must be from 10 to 10000')
    .default(1000),
  GATEHOUSE_IPV6_PREFIX: z.coerce
    .number({ error: 'must be a number' })
    .int('must be a whole number')
    .min(32, 'must be from 32 to 128')
    .max(128, 'must be from 32 to 128')
    .default(64),
  // A scraper sends it in a header, RFC 6750 section 2.1.
  GATEHOUSE_METRICS_TOKEN: z
    .string()
    .regex(/^[\w.~+/-]+=*$/, 'may have letters, digits and -._~+/ only, with = at its end')
    .optional(),
  GATEHOUSE_PROFILE: z.enum(['test'], { error: 'can only be "test"' }).optional(),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be one of trace, debug, info, warn, error, fatal, silent',
    })
    .default('info'),
})

/**
 * @param env usually `process.env`; an empty value counts as absent
 * @throws OperatorFault that names every wrong setting
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  // What is wrong by itself does not keep the rest from being looked at: an operator hears of everything in one go.
  const wrong = environment.safeParse(given).error?.issues ?? []
  const values = environment.parse(without(given, new Set(wrong.map(({ path }) => String(path[0])))))
  const issuer = (values.GATEHOUSE_ISSUER ?? new URL(`http://localhost:${values.PORT}`).origin).replace(/\/$/, '')
  const secrets = (values.GATEHOUSE_SECRET ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
  const proxies = values.GATEHOUSE_TRUSTED_PROXIES.split(',')
    .map((one) => one.trim())
    .filter(Boolean)
  const gatewayPort = values.GATEHOUSE_GATEWAY_PORT ?? values.PORT + 1

  const faults = [
    ...wrong.map((issue) => `${issue.path.join('.')} ${issue.message}`),
    ...issuerFaults(issuer),
    ...(secrets.some((secret) => Buffer.byteLength(secret) < SECRET_BYTES)
      ? [
          `GATEHOUSE_SECRET needs at least ${SECRET_BYTES} bytes in every entry; "openssl rand -base64 48" makes a good one`,
        ]
      : []),
    ...(given.DATABASE_URL && secrets.length === 0
      ? ['GATEHOUSE_SECRET is required together with DATABASE_URL; "openssl rand -base64 48" makes a good one']
      : []),
    ...(values.GATEHOUSE_PROFILE === 'test' && !isLocal(issuer)
      ? ['GATEHOUSE_PROFILE=test is refused with an issuer that is not on this machine']
      : []),
    ...proxies
      .filter((proxy) => !isNetwork(proxy))
      .map((proxy) => `GATEHOUSE_TRUSTED_PROXIES: "${proxy}" is no address or network`),
    ...(gatewayPort === values.PORT ? ['GATEHOUSE_GATEWAY_PORT must differ from PORT'] : []),
    ...(gatewayPort > 65535 ? ['GATEHOUSE_GATEWAY_PORT must be set, because PORT + 1 is no port'] : []),
  ]
  if (faults.length > 0) throw fault(faults)

  return Object.freeze({
    port: values.PORT,
    gatewayPort,
    workers: values.WORKERS,
    hosts: values.HOST ? [values.HOST] : isLocal(issuer) ? ['127.0.0.1', '::1'] : ['::'],
    issuer,
    databaseUrl: values.DATABASE_URL,
    migrateUrl: values.GATEHOUSE_MIGRATE_URL,
    databaseConnections: values.GATEHOUSE_DATABASE_CONNECTIONS ?? shareOfConnections(values.WORKERS),
    dataDir: resolve(values.GATEHOUSE_DATA_DIR),
    secrets,
    trustedProxies: proxies,
    connectionsPerAddress: values.GATEHOUSE_CONNECTIONS_PER_ADDRESS,
    ipv6Prefix: values.GATEHOUSE_IPV6_PREFIX,
    logLevel: values.LOG_LEVEL,
    metricsToken: values.GATEHOUSE_METRICS_TOKEN,
    profile: values.GATEHOUSE_PROFILE,
  })
}

/** A PostgreSQL has 100 connections by default, and every process needs three more than this. */
function shareOfConnections(workers: number): number {
  return Math.min(16, Math.floor(64 / workers))
}

/**
 * The secrets that wrap the key ring, newest first. In embedded mode one is made at first start and kept in a file of mode
 * 0600 beside the data: a copy of that folder opens everything.
 * @returns none where none was set or made
 * @throws OperatorFault when the file is there but cannot be used
 */
export function readSecrets({ secrets, dataDir }: Pick<Config, 'secrets' | 'dataDir'>): readonly string[] {
  return secrets.length > 0 ? secrets : readSecretFile(dataDir)
}

/**
 * Makes the secret of an embedded database. Called inside the lock of the key ring.
 * @returns it, when its file is whole and on the disk: the ring that it wraps must not outlive it
 */
export function makeSecret({ dataDir }: Pick<Config, 'dataDir'>): string {
  const secret = newSecret()
  writeSecretFile(dataDir, [secret])
  return secret
}

/** @returns whether the issuer is on this machine */
export function isLocal(issuer: string): boolean {
  return URL.canParse(issuer) && isLoopback(new URL(issuer))
}

function issuerFaults(issuer: string): string[] {
  const fault = issuerFault(issuer)
  if (fault) return [`GATEHOUSE_ISSUER ${fault}`]
  return new URL(issuer).origin === issuer
    ? []
    : [`GATEHOUSE_ISSUER must be written as an origin, without a path: ${new URL(issuer).origin}`]
}

function isNetwork(text: string): boolean {
  // `1`, meant as a number of hops, would be the address 0.0.0.1, and nobody would wonder why no proxy is trusted.
  const written = /^[\d.]+(\/|$)/.test(text) ? ipaddr.IPv4.isValidFourPartDecimal(text.split('/')[0]!) : true
  return written && (ipaddr.isValid(text) || ipaddr.isValidCIDR(text))
}

function without(given: Readonly<Record<string, string | undefined>>, names: ReadonlySet<string>) {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !names.has(name)))
}

function fault(faults: readonly string[]): OperatorFault {
  return new OperatorFault(
    faults.length === 1
      ? `A setting is not right: ${faults[0]}.`
      : `${faults.length} settings are not right:${faults.map((one) => `\n  - ${one}`).join('')}`,
    'Change the environment and start again. The README lists every setting.',
  )
}
