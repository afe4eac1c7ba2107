// What ships: built, unpacked into an empty folder, and run by plain Node without any packages near it.
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'
import { sampleIssuer } from '../helpers/access-tokens.ts'
import { httpEvent, restEvent } from '../helpers/gateway-events.ts'
import { type JwksServer, jwksServer } from '../helpers/jwks-server.ts'

const AUDIENCE = 'https://orders.example.com'
const BUILD = join(import.meta.dirname, '../../deploy/build-authorizer.ts')
// Plays the Lambda runtime: an event a line in, an answer or an error a line out.
const RUNTIME = `
import { createInterface } from 'node:readline'
import { handler } from './index.mjs'
if (handler.length > 2) throw new Error('CallbackHandlerDeprecated')
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await handler(JSON.parse(line)).then((value) => ({ value }), (error) => ({ error: error.message }))
  console.log('ANSWER ' + JSON.stringify(answer))
}`

let folder: string
let server: JwksServer
let zip: Buffer

/** Builds in a process of its own, because esbuild does not run inside Jest's vm. */
async function build(to: string, env: Record<string, string> = {}) {
  const call = `const { buildAuthorizer } = await import(${JSON.stringify(BUILD)}); console.log(JSON.stringify(await buildAuthorizer(${JSON.stringify(to)})))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', call], {
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout) as { zip: string; zipBytes: number; codeBytes: number; sha256: string }
}

/** Runs the unpacked bundle over some events. */
async function run(env: Record<string, string>, events: object[]) {
  const child = spawn(process.execPath, ['runtime.mjs'], { cwd: folder, env: { PATH: '', ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  const code = await new Promise((resolve) => child.on('close', resolve))
  const lines = stdout.split('\n').filter(Boolean)
  const answers = lines.flatMap((line) => (line.startsWith('ANSWER ') ? [JSON.parse(line.slice(7))] : []))
  const log = lines.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  return { code, answers, log, stdout, stderr }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-authorizer-'))
  const out = join(folder, 'out')
  zip = await readFile((await build(out)).zip)
  await rm(out, { recursive: true })
  for (const [name, bytes] of Object.entries(unzipSync(zip))) await writeFile(join(folder, name), bytes)
  await writeFile(join(folder, 'runtime.mjs'), RUNTIME)
  server = await jwksServer()
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

describe('authorizer.zip', () => {
  it('holds index.mjs and the licence of what it bundles, readable for everybody', async () => {
    expect(Object.keys(unzipSync(zip))).toEqual(['index.mjs', 'THIRD-PARTY.txt'])
    // External attributes of the first entry of the central directory: a regular file, rw-r--r--.
    const entry = zip.indexOf(Buffer.from('PK\u0001\u0002'))
    expect(zip.readUInt32LE(entry + 38) >>> 16).toBe(0o100644)
  })

  it('is the same, byte for byte, in another folder and another time zone', async () => {
    const other = await mkdtemp(join(tmpdir(), 'gatehouse-authorizer-'))
    const built = await build(other, { TZ: 'Pacific/Auckland' })
    expect((await readFile(built.zip)).equals(zip)).toBe(true)
    expect(
      (await readFile(join(other, 'authorizer/index.mjs'))).equals(await readFile(join(folder, 'index.mjs'))),
    ).toBe(true)
    await rm(other, { recursive: true })
  })

  it('stays small: at most 40 KiB of code, and nothing of the fetch stack or an SDK', async () => {
    const code = await readFile(join(folder, 'index.mjs'), 'utf8')
    expect(code.length).toBeLessThan(40 * 1024)
    expect(code).not.toMatch(/\bfetch\(|new Headers|createRemoteJWKSet|aws-sdk/)
    const imports = [...code.matchAll(/(?:from|import\()\s*["']([^"']+)["']/g)].map(([, name]) => name)
    expect(imports.every((name) => name?.startsWith('node:'))).toBe(true)
  })

  it('allows and refuses as its settings say, with keys from the issuer', async () => {
    const issuer = await sampleIssuer({ issuer: server.issuer })
    server.keys = issuer.jwks.keys
    await writeFile(join(folder, 'routes.json'), '{ "GET /orders": ["orders:read"], "POST /orders": ["orders:write"] }')
    const authorization = `Bearer ${await issuer.sign()}`
    const expired = `Bearer ${await issuer.sign({ claims: { iat: 1, exp: 2 } })}`
    const { code, answers, log, stdout, stderr } = await run(
      { GATEHOUSE_ISSUER: server.issuer, GATEHOUSE_AUDIENCE: AUDIENCE, GATEHOUSE_ROUTES: 'routes.json' },
      [
        restEvent({ authorization }),
        restEvent({ method: 'POST', authorization }),
        restEvent({ authorization: expired }),
        restEvent(),
        httpEvent({ authorization }),
        httpEvent({ authorization: expired }),
        {},
      ],
    )
    expect([code, stderr]).toEqual([0, ''])
    expect(answers).toEqual([
      { value: expect.objectContaining({ principalId: 'ada', context: expect.objectContaining({ sub: 'ada' }) }) },
      { value: expect.objectContaining({ context: expect.objectContaining({ reason: 'scope-missing' }) }) },
      { error: 'Unauthorized' },
      { error: 'Unauthorized' },
      { value: { isAuthorized: true, context: expect.objectContaining({ sub: 'ada' }) } },
      { value: { isAuthorized: false, context: { reason: 'expired' } } },
      { error: 'Unauthorized' },
    ])
    expect(log.map(({ outcome, reason }) => outcome ?? reason)).toEqual([
      'allow',
      403,
      401,
      401,
      'allow',
      401,
      undefined,
    ])
    for (const part of [authorization, expired].flatMap((text) => text.slice(7).split('.').slice(1)))
      expect(stdout).not.toContain(part)
    expect(server.asked).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  it('needs no network with pinned keys', async () => {
    const issuer = await sampleIssuer()
    const { answers } = await run(
      {
        GATEHOUSE_ISSUER: 'https://id.example.com',
        GATEHOUSE_AUDIENCE: AUDIENCE,
        GATEHOUSE_ROUTES: '{"GET /orders":["orders:read"]}',
        GATEHOUSE_JWKS: JSON.stringify(issuer.jwks),
      },
      [httpEvent({ authorization: `Bearer ${await issuer.sign({ alg: 'RS256' })}` })],
    )
    expect(answers).toEqual([{ value: expect.objectContaining({ isAuthorized: true }) }])
  })

  it('S-204 does not start without its settings, and names all of them', async () => {
    const { code, stderr } = await run({}, [restEvent()])
    expect(code).toBe(1)
    for (const name of ['GATEHOUSE_ISSUER', 'GATEHOUSE_AUDIENCE', 'GATEHOUSE_ROUTES'])
      expect(stderr).toContain(`${name} is missing`)
  })
})
