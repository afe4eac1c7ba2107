// docker-compose.yml, read as Docker Compose reads it: its shape, its secrets, and whether Gatehouse takes what it is given.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { readConfig } from '../../src/config.ts'
import { readDockerfile } from '../helpers/dockerfile.ts'

interface Service {
  readonly image?: string
  readonly build?: string
  readonly env_file?: string
  readonly environment?: Record<string, string>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly depends_on?: Record<string, { condition: string }>
  readonly healthcheck: Record<string, unknown> & { test: readonly string[] }
}

const ROOT = join(import.meta.dirname, '../..')
const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
const example = readFileSync(join(ROOT, '.env.example'), 'utf8')
const compose = parse(text) as { services: Record<string, Service>; volumes: Record<string, unknown> }
const { gatehouse, postgres, mail } = compose.services as Record<string, Service> & Record<'gatehouse', Service>
const services = Object.entries(compose.services)

// Of the Compose specification, what this file uses: a misspelt key would be refused by Docker, and by this test.
const TOP = ['name', 'services', 'volumes']
const SERVICE =
  'build image init restart env_file environment ports volumes depends_on healthcheck stop_grace_period read_only tmpfs cap_drop security_opt shm_size'
const HEALTH = ['test', 'interval', 'timeout', 'retries', 'start_period']

it('has no key that Docker Compose does not know', () => {
  expect(Object.keys(compose).filter((key) => !TOP.includes(key))).toEqual([])
  for (const [, service] of services) {
    expect(Object.keys(service).filter((key) => !SERVICE.split(' ').includes(key))).toEqual([])
    expect(Object.keys(service.healthcheck).filter((key) => !HEALTH.includes(key))).toEqual([])
  }
})

it('is Gatehouse, PostgreSQL and a mail catcher, each from a build or a tagged image, each health-checked', () => {
  expect(Object.keys(compose.services)).toEqual(['gatehouse', 'postgres', 'mail'])
  expect(gatehouse.build).toBe('.')
  expect([postgres?.image, mail?.image]).toEqual(['postgres:18', expect.stringMatching(/^axllent\/mailpit:v\d+\.\d+$/)])
  for (const [, { healthcheck }] of services) {
    expect(healthcheck.test[0]).toBe('CMD')
    expect(healthcheck.test.every((word) => typeof word === 'string')).toBe(true)
    for (const time of ['interval', 'timeout']) expect(healthcheck[time]).toMatch(/^\d+s$/)
  }
})

it('starts Gatehouse when the database is healthy, on a volume that the image of PostgreSQL 18 uses', () => {
  expect(gatehouse.depends_on).toEqual({ postgres: { condition: 'service_healthy' } })
  expect(postgres?.volumes).toEqual(['database:/var/lib/postgresql'])
  expect(Object.keys(compose.volumes)).toEqual(['database'])
})

it('publishes ports to this machine only, and the database to nobody', () => {
  for (const [, { ports = [] }] of services) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  expect(postgres?.ports).toBeUndefined()
})

it('holds no secret: each comes from .env, and a missing one stops Compose with a word', () => {
  const values = services.flatMap(([, { environment = {} }]) => Object.entries(environment))
  const secrets = values.filter(([name, value]) => /SECRET|PASSWORD|TOKEN|KEY/.test(name) || /:\/\/[^/]*@/.test(value))
  expect(secrets.map(([name]) => name).sort()).toEqual(['DATABASE_URL', 'POSTGRES_PASSWORD'])
  for (const [, value] of secrets) {
    expect(value.replace(/\$\{POSTGRES_PASSWORD:\?set it in \.env\}/, '')).toMatch(/^(postgresql:\/\/gatehouse:@.*)?$/)
  }
  for (const line of example.match(/^\w*(SECRET|PASSWORD)\w*=.*$/gm) ?? []) expect(line).toMatch(/=$/)
})

it('with .env.example filled in, Gatehouse takes the settings, and can be reached from outside of its container', () => {
  const env = { GATEHOUSE_SECRET: 'x'.repeat(32), POSTGRES_PASSWORD: 'from-env' }
  const file = Object.fromEntries([...example.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]))
  expect(Object.keys(file).sort()).toEqual(Object.keys(env).sort())
  const image = readDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).find(({ name }) => name === 'ENV')!
  expect(gatehouse.env_file).toBe('.env')
  const config = readConfig({
    ...Object.fromEntries(image.rest.split(' ').map((pair) => pair.split('='))),
    ...file,
    ...env,
    ...interpolate(gatehouse.environment ?? {}, env),
  })
  expect(config).toMatchObject({
    databaseUrl: 'postgresql://gatehouse:from-env@postgres:5432/gatehouse',
    issuer: 'http://localhost:3000',
    hosts: ['0.0.0.0'],
  })
  expect(gatehouse.ports).toEqual([`127.0.0.1:${config.port}:${config.port}`])
  expect(gatehouse.healthcheck.test.join(' ')).toContain(`http://127.0.0.1:${config.port}/readyz`)
})

it('without the secret Gatehouse refuses, and says how to make one', () => {
  const { environment = {} } = gatehouse
  expect(() => readConfig(interpolate(environment, { POSTGRES_PASSWORD: 'from-env' }))).toThrow(
    'GATEHOUSE_SECRET is required together with DATABASE_URL',
  )
})

/** `${NAME:?message}` as Compose fills it in. */
function interpolate(environment: Record<string, string>, values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(/\$\{(\w+):\?[^}]*\}/g, (_, key: string) => values[key] ?? `missing ${key}`),
    ]),
  )
}
