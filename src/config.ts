// Reads the environment once, as one table, and reports every fault together. Only the roof sees the result.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { OperatorFault } from './vocabulary/fault.ts'
import { isLoopback, issuerFault } from './vocabulary/issuer.ts'

export interface Config {
  readonly port: number
  readonly gatewayPort: number
  /** addresses to listen on */
  readonly hosts: readonly string[]
  /** the one public URL, without a slash at the end */
  readonly issuer: string
  /** undefined: the embedded server */
  readonly databaseUrl?: string
  readonly migrateUrl?: string
  readonly dataDir: string
  /** GATEHOUSE_SECRET, newest first; read when first needed, because a fresh embedded installation makes one */
  readonly secrets: readonly string[]
  readonly trustedProxies: readonly string[]
  readonly logLevel: string
  readonly profile?: 'test'
}

const port = z.coerce
  .number({ error: 'must be a number' })
  .int('must be a whole number')
  .min(1, 'must be from 1 to 65535')
  .max(65535, 'must be from 1 to 65535')

// Not judged by the rules of web URLs: a socket's address, postgresql://user@/name?host=/folder, has no host in its place.
const postgresUrl = z.string().regex(/^postgres(ql)?:\/\/\S+$/, {
  error: 'must look like postgresql://user:password@host:5432/name',
})

const environment = z.object({
  PORT: port.default(3000),
  GATEHOUSE_GATEWAY_PORT: port.optional(),
  HOST: z.string().min(1).optional(),
  GATEHOUSE_ISSUER: z.string().optional(),
  DATABASE_URL: postgresUrl.optional(),
  GATEHOUSE_MIGRATE_URL: postgresUrl.optional(),
  GATEHOUSE_DATA_DIR: z.string().min(1).default('./data'),
  GATEHOUSE_SECRET: z.string().optional(),
  GATEHOUSE_TRUSTED_PROXIES: z.string().default(''),
  GATEHOUSE_PROFILE: z.enum(['test'], { error: 'can only be "test"' }).optional(),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be one of trace, debug, info, warn, error, fatal, silent',
    })
    .default('info'),
})

/** The shortest GATEHOUSE_SECRET, in bytes. */
const SECRET_BYTES = 32

/**
 * @param env usually `process.env`; an empty value counts as absent
 * @throws OperatorFault that names every wrong setting
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const read = environment.safeParse(given)
  if (!read.success) {
    throw fault(read.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`))
  }
  const values = read.data
  const issuer = (values.GATEHOUSE_ISSUER ?? `http://localhost:${values.PORT}`).replace(/\/$/, '')
  const secrets = (values.GATEHOUSE_SECRET ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
  const proxies = values.GATEHOUSE_TRUSTED_PROXIES.split(',')
    .map((one) => one.trim())
    .filter(Boolean)
  const gatewayPort = values.GATEHOUSE_GATEWAY_PORT ?? values.PORT + 1

  const faults = [
    ...issuerFaults(issuer),
    ...(secrets.some((secret) => Buffer.byteLength(secret) < SECRET_BYTES)
      ? [
          `GATEHOUSE_SECRET needs at least ${SECRET_BYTES} bytes in every entry; "openssl rand -base64 48" makes a good one`,
        ]
      : []),
    ...(values.DATABASE_URL && secrets.length === 0
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
    hosts: values.HOST ? [values.HOST] : isLocal(issuer) ? ['127.0.0.1', '::1'] : ['::'],
    issuer,
    databaseUrl: values.DATABASE_URL,
    migrateUrl: values.GATEHOUSE_MIGRATE_URL,
    dataDir: resolve(values.GATEHOUSE_DATA_DIR),
    secrets,
    trustedProxies: proxies,
    logLevel: values.LOG_LEVEL,
    profile: values.GATEHOUSE_PROFILE,
  })
}

/**
 * The secrets that wrap the key ring. In embedded mode one is made at first start and kept in a file of mode 0600 beside the
 * data: a copy of that folder opens everything.
 * @throws OperatorFault when the file is there but cannot be used
 */
export function readSecrets(config: Config): readonly string[] {
  if (config.secrets.length > 0) return config.secrets
  const path = join(config.dataDir, 'secret.key')
  if (!existsSync(path)) {
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
    writeSecret(path)
  }
  const secret = readFileSync(path, 'utf8').trim()
  if (Buffer.byteLength(secret) < SECRET_BYTES) {
    throw new OperatorFault(
      `The secret in ${path} is too short or the file is damaged.`,
      'Restore the file from a backup.',
    )
  }
  return [secret]
}

function writeSecret(path: string): void {
  try {
    writeFileSync(path, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    chmodSync(path, 0o600)
  } catch (error) {
    // Another process that starts at the same moment was first.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
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
    : ['GATEHOUSE_ISSUER must be an origin only, such as https://login.example.com: no path']
}

function isNetwork(text: string): boolean {
  return ipaddr.isValid(text) || ipaddr.isValidCIDR(text)
}

function fault(faults: readonly string[]): OperatorFault {
  const list = faults.length === 1 ? faults[0]! : faults.map((one) => `\n  - ${one}`).join('')
  return new OperatorFault(
    `The settings are not right: ${list}`,
    'Change the environment and start again. The README lists every setting.',
  )
}
