// The settings, wherever they are named: src/config.ts, the README, .env.example, docker-compose.yml, the authorizer.
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { readConfig } from '../../src/config.ts'
import { codeIn, readDocument, tableOf } from '../helpers/documents.ts'

const readme = readDocument('README.md')
const rows = tableOf(readme, 'Setting')
const names = rows.map(([name]) => name!.replaceAll('`', ''))
/** the schema's entries by name, as written */
const schema = new Map(
  /const environment = z\.object\(\{\n([\s\S]*?)\n\}\)/
    .exec(readDocument('src/config.ts'))![1]!
    .split(/\n(?= {2}[A-Z])/)
    .map((entry) => [/^ *(\w+):/.exec(entry)![1]!, entry]),
)
const example = readDocument('.env.example')

it('the README names every setting that is read, and no other', () => {
  expect(schema.size).toBeGreaterThan(10)
  expect([...names].sort()).toEqual([...schema.keys()].sort())
})

it('the README names the defaults that the schema has', () => {
  const defaults = [...schema].flatMap(([name, entry]) => {
    const [, literal] = /\.default\(('[^']+'|\d+)\)/.exec(entry) ?? []
    return literal ? [[name, literal.replaceAll("'", '')]] : []
  })
  expect(defaults.length).toBeGreaterThan(2)
  const told = new Map(rows.map(([, fallback], index) => [names[index], codeIn(fallback!)[0]]))
  expect(defaults.map(([name]) => [name, told.get(name)])).toEqual(defaults)
})

it('what the README says of defaults in words is what happens', () => {
  const config = readConfig({})
  expect(config).toMatchObject({
    port: 3000,
    gatewayPort: 3001,
    issuer: 'http://localhost:3000',
    hosts: ['127.0.0.1', '::1'],
    databaseUrl: undefined,
    migrateUrl: undefined,
    dataDir: resolve('data'),
    trustedProxies: [],
    profile: undefined,
    logLevel: 'info',
  })
  expect(readConfig({ GATEHOUSE_ISSUER: 'https://login.example.com' }).hosts).toEqual(['::'])
  expect(readConfig({ PORT: '', LOG_LEVEL: '' })).toEqual(config)
})

it('every value of LOG_LEVEL is named', () => {
  const levels = /z\s*\.enum\(\[([^\]]*)\]/.exec(schema.get('LOG_LEVEL')!)![1]!.match(/\w+/g)
  const [, , words] = rows.find(([name]) => name === '`LOG_LEVEL`')!
  expect(codeIn(words!)).toEqual(levels)
})

it('.env.example names every setting once, and the one of docker-compose.yml', () => {
  const named = [...example.matchAll(/^#?([A-Z0-9_]+)=/gm)].map((match) => match[1]!)
  expect(named.sort()).toEqual([...names, 'POSTGRES_PASSWORD'].sort())
})

it('each value in .env.example is one that is taken', () => {
  const values = [...example.matchAll(/^#([A-Z0-9_]+)=(.+)$/gm)].map((match) => [match[1]!, match[2]!] as const)
  expect(values.length).toBe(names.length - 1)
  for (const [name, value] of values) {
    expect(() => readConfig({ GATEHOUSE_SECRET: 'x'.repeat(32), [name]: value })).not.toThrow()
  }
})

it('docker-compose.yml gives Gatehouse nothing that it does not read', () => {
  const { services } = parse(readDocument('docker-compose.yml'))
  expect(Object.keys(services.gatehouse.environment).filter((name) => !names.includes(name))).toEqual([])
})

it('the README names every setting of the authorizer, and no other', () => {
  const read = new Set(readDocument('src/authorizer/config.ts').match(/(?<=env\.)GATEHOUSE_\w+/g))
  const told = tableOf(readme, 'Setting of the Lambda')
  expect(told.map(([name]) => name!.replaceAll('`', '')).sort()).toEqual([...read].sort())
})

it('no document names a setting that nobody reads', () => {
  const known = new Set([...names, ...(readDocument('src/authorizer/config.ts').match(/GATEHOUSE_\w+/g) ?? [])])
  for (const path of [
    'README.md',
    'ARCHITECTURE.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'docker-compose.yml',
    'Dockerfile',
  ]) {
    const strangers = [...new Set(readDocument(path).match(/\bGATEHOUSE_[A-Z0-9_]+\b/g))].filter(
      (name) => !known.has(name),
    )
    expect([path, strangers]).toEqual([path, []])
  }
})
