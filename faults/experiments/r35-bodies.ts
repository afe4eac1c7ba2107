import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { formOf } from '../../test/helpers/browser.ts'
import type { Cluster } from '../../test/helpers/cluster.ts'
import { authorizeUrl, basic, pkce } from '../../test/helpers/flow.ts'
import { type Heard, speak } from '../../test/helpers/raw-socket.ts'
import { CALLBACK, PASSWORD, THINGS } from '../../test/helpers/server.ts'
import { changesSince, lastChange } from '../changes.ts'
import type { Experiment, Installation } from '../experiment.ts'
import { type HugeRequest, hugeRequests, pour } from '../huge-requests.ts'

/** Milliseconds. */
const ANSWER_WITHIN = 1000
const MOST_GROWTH = 20
const PARALLEL = 4
/** of each body to each address */
const TIMES = 6
const WARM = 1500

type Pool = ReturnType<Installation['database']['pool']>

interface Address {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** a form that would be taken, and change something where the address can */
  readonly good: string
}

/** Everything huge or odd at every address that takes a body, while the memory of the process is watched. */
export const r35Bodies: Experiment = {
  id: 'R-35',
  title: 'huge and odd bodies',
  size: { full: `21 bodies × 11 addresses × ${TIMES}, ${PARALLEL} at once` },
  target: `413, 400 or 415 within ${ANSWER_WITHIN} ms; resident memory + ${MOST_GROWTH} MiB at most; the connection is usable or ended; nothing changes`,
  needs: ['linux'],

  async run(bench) {
    const misses: string[] = []
    const installation = await bench.install()
    const cluster = await installation.start({ processes: 1 })
    const { port, child } = cluster.nodes[0]!
    const host = new URL(cluster.issuer).host
    const addresses = await findAddresses(installation, cluster)
    const memory = watchMemory(child.pid!)
    bench.after(async () => memory.stop())

    const pool = installation.database.pool()
    await keysPublished(pool)

    // What bodies of a size that is taken need anyway, when as many come as of the others.
    const within = 'y'.repeat(50_000)
    const usual = Array.from({ length: WARM }, (_, turn) => addresses[turn % addresses.length]!)
    await inParallel(PARALLEL, usual, async (address) => {
      await send(port, host, address, plainForm(`x=${within}`))
    })
    const before = memory.most()
    memory.begin()
    const since = await lastChange(pool)
    const rows = await countRows(pool)

    let sent = 0
    let slowest = 0
    const kinds = addresses.map((address) => hugeRequests(address.good))
    for (const [kind, { name }] of kinds[0]!.entries()) {
      const work = addresses.flatMap((address, index) =>
        Array.from({ length: TIMES }, () => ({ address, huge: kinds[index]![kind]! })),
      )
      await inParallel(PARALLEL, work, async ({ address, huge }) => {
        const heard = await send(port, host, address, huge)
        sent += 1
        slowest = Math.max(slowest, heard.first)
        const miss = judge(heard, huge)
        if (miss) misses.push(`${address.path}, ${name}: ${miss}`)
      })
      bench.say(`${name}: slowest ${Math.round(slowest)} ms, ${memory.most()} MiB after ${before} MiB`)
    }
    const growth = memory.most() - before
    if (growth > MOST_GROWTH) misses.push(`resident memory grew by ${growth} MiB, from ${before}`)
    for (const change of await changesSince(pool, since)) misses.push(`something changed: ${change}`)
    const after = await countRows(pool)
    // Rows whose time is over leave by themselves.
    for (const [table, count] of after)
      if (count > (rows.get(table) ?? 0)) misses.push(`${table} had ${rows.get(table)} rows and has ${count}`)
    memory.stop()
    // They do what they are for, unless they are odd.
    for (const { path, headers, good } of addresses) {
      const { statuses } = await send(port, host, { path, headers, good }, plainForm(good))
      if (statuses.some((status) => [413, 415].includes(status) || status >= 500))
        misses.push(`${path}: the good form is ${statuses}`)
    }
    return {
      result: `${sent} requests, slowest first answer ${Math.round(slowest)} ms, ${before} MiB before, + ${growth} MiB`,
      misses,
    }
  },
}

function plainForm(body: string): HugeRequest {
  const head = ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`]
  return { name: 'a form', head, body: Buffer.from(body) }
}

function judge({ statuses, first, end, text }: Heard, { endless }: HugeRequest): string | undefined {
  const [status, next] = statuses
  if (status === undefined || ![400, 413, 415].includes(status)) return `answered ${statuses.join() || 'nothing'}`
  if (first > ANSWER_WITHIN) return `the answer came after ${Math.round(first)} ms`
  if (end === 'open') return 'the connection stays open'
  const ends = /\r\nconnection: close/i.test(text)
  // Behind a body that has an end stands one more request.
  return endless
    ? ends
      ? undefined
      : 'the connection breaks without a word'
    : ends || next === 200
      ? undefined
      : `answered ${statuses.join()}`
}

function send(
  port: number,
  host: string,
  { path, headers }: Address,
  { head, body, endless }: HugeRequest,
): Promise<Heard> {
  const lines = [
    `POST ${path} HTTP/1.1`,
    `Host: ${host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...head,
  ]
  const behind = endless ? '' : `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  return speak(port, Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body, Buffer.from(behind)]), {
    ...(endless && { write: pour(endless) }),
  })
}

/** @returns every address that takes a body, with credentials and forms that are good, the pages' too */
async function findAddresses({ cast, home }: Installation, cluster: Cluster): Promise<Address[]> {
  const shop = basic('shop', cast.shop) as Record<string, string>
  const { verifier, challenge } = pkce()
  const browser = cluster.browser(0)
  const signIn = await browser.open(authorizeUrl(cluster, 'shop', challenge))
  const setup = await browser.open(
    `${cluster.issuer}/admin/setup?token=${(await home.rooms.accounts.makeAdminLink('operator')).token}`,
  )
  const cookie = await browser.jar.getCookieString(cluster.issuer)
  const pressed = (page: typeof signIn, button: string, changed: Record<string, string>): Address => {
    const { target, fields } = formOf(page, button, changed)
    return {
      path: `${target.pathname}${target.search}`,
      headers: { Cookie: cookie, Origin: cluster.issuer },
      good: new URLSearchParams(fields).toString(),
    }
  }
  const login = pressed(signIn, 'sign-in', { email: 'ada@example.com', password: PASSWORD })
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const pushed = {
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  }
  return [
    { path: '/token', headers: shop, good: form({ grant_type: 'client_credentials', resource: THINGS }) },
    {
      path: '/token',
      headers: {},
      good: form({ grant_type: 'authorization_code', client_id: 'spa', code: 'x', code_verifier: verifier }),
    },
    { path: '/introspect', headers: basic('orders-api', cast.api) as Record<string, string>, good: 'token=x' },
    { path: '/revoke', headers: shop, good: 'token=x' },
    { path: '/par', headers: shop, good: form(pushed) },
    { path: '/userinfo', headers: {}, good: 'access_token=x' },
    { path: '/logout/confirm', headers: { Cookie: cookie }, good: 'logout=yes' },
    login,
    { ...login, path: `${login.path}/switch` },
    { path: '/set-password', headers: { Cookie: cookie, Origin: cluster.issuer }, good: 'token=x&password=x' },
    pressed(setup, '', { email: 'root@example.com', name: 'Root', password: PASSWORD }),
  ]
}

/** The keys that stand by come a moment after the start. */
async function keysPublished(pool: Pool): Promise<void> {
  const next = async () => (await pool.query(`select from signing_keys where state = 'next'`)).rowCount ?? 0
  for (let look = 0; look < 100 && (await next()) < 2; look += 1) await sleep(100)
}

/** @returns how many rows each table has */
async function countRows(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public'`,
  )
  const counted = rows.map(
    async ({ name }): Promise<[string, number]> => [
      name,
      Number((await pool.query(`select count(*) from "${name}"`)).rows[0].count),
    ],
  )
  return new Map(await Promise.all(counted))
}

/** @returns the most MiB of resident memory since `begin` */
function watchMemory(pid: number) {
  const read = () => {
    const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Math.round(Number(kilobytes) / 1024)
  }
  let most = read()
  const timer = setInterval(() => {
    most = Math.max(most, read())
  }, 20)
  return {
    most: () => most,
    begin: () => {
      most = read()
    },
    stop: () => clearInterval(timer),
  }
}

async function inParallel<T>(workers: number, work: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const left = work.values()
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (const one of left) await act(one)
    }),
  )
}
