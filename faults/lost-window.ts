// A failover to an asynchronous standby: what is lost, what would be good again, and that it is not.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from '../test/helpers/cluster.ts'
import type { TestConnection } from '../test/helpers/database.ts'
import { startFaultProxy } from '../test/helpers/fault-proxy.ts'
import { authorizeUrl, basic, introspect, obtainCode, obtainTokens, pkce, post, redeem } from '../test/helpers/flow.ts'
import { createProver } from '../test/helpers/prover.ts'
import { ORDERS, TEST_SECRET, THINGS } from '../test/helpers/server.ts'
import { createSigner } from '../test/helpers/signer.ts'
import { runCommand } from './command.ts'
import type { Bench, Installation, Outcome } from './experiment.ts'
import { BACK_WITHIN, installBreakable, readiness } from './outage.ts'

/** Milliseconds by which the standby is behind. */
const BEHIND = 2000
/** What is on its way to the standby or being written there. */
const SLACK = 500
const WORDS = 'three quiet herons on the weir'
const MACHINE = { grant_type: 'client_credentials', resource: ORDERS }

/** A thing that may be used once. `use` answers `good`, or why not. */
interface Once {
  readonly name: string
  use(): Promise<string>
}

/** Kills a primary whose standby is two seconds behind, and leads to the standby. */
export async function failOverBehind(bench: Bench): Promise<Outcome> {
  const misses: string[] = []
  const { host, front, installation } = await installBreakable(bench)
  const { cast, database } = installation
  const link = await startFaultProxy(host.node.connection, { over: 'tcp' })
  bench.after(link.close)
  const standby = await host.node.makeStandby('behind', link.connection)
  await host.node.followed()
  link.delay(2 * BEHIND)
  const cluster = await installation.start({ processes: 2, warm: 20 })

  // Before the window: what ends here is over on the standby, too.
  const early = await makeThings(installation, cluster)
  for (const one of early.once) await expectAnswer(misses, one, 'before the window')
  const revokedEarly = early.token
  await post(cluster, '/revoke', { token: revokedEarly }, { id: 'shop', secret: cast.shop })
  const late = await makeThings(installation, cluster)
  const person = await obtainTokens(cluster, { id: 'spa' }, { scope: 'openid things:read' })
  const machine = await post(cluster, '/token', MACHINE, { id: 'billing', secret: cast.billing })
  await sleep(BEHIND + 2 * SLACK)

  // In the window: all is used, and acknowledged.
  const issued = startIssuing(cluster, cast.shop)
  await sleep(BEHIND + 2 * SLACK)
  for (const one of late.once) await expectAnswer(misses, one, 'in the window')
  await post(cluster, '/revoke', { token: late.token }, { id: 'shop', secret: cast.shop })
  const acknowledged = await issued.stop()
  const killed = performance.now()
  await Promise.all([host.node.stop('kill'), link.interrupt()])
  await standby.promote()

  // The standby itself would do it again: without this nothing is proved.
  const forgotten = await unusedAt(standby.connection, database.connection.database)
  if (forgotten.codes < 1 || forgotten.pushed < 1 || forgotten.links < 1)
    misses.push(`the standby lacks nothing, which proves nothing: ${JSON.stringify(forgotten)}`)
  front.switchTo(standby.connection)
  await readiness(cluster, 200, BACK_WITHIN, misses)

  const lost: number[] = []
  for (const { token, at } of acknowledged) {
    const { active } = await introspect(cluster, { id: 'orders-api', secret: cast.api }, token)
    if (!active) lost.push(killed - at)
  }
  const window = Math.round(Math.max(0, ...lost))
  if (lost.length === 0) misses.push('nothing was lost, which proves nothing')
  if (window > BEHIND + SLACK) misses.push(`the loss reaches back ${window} ms, the standby was ${BEHIND} ms behind`)
  for (const { name, use } of [...late.once, ...early.once]) {
    const answer = await use()
    if (answer === 'good') misses.push(`${name} was used before the failover and is good again`)
  }
  const active = async (token: string) =>
    (await introspect(cluster, { id: 'orders-api', secret: cast.api }, token)).active === true
  if (await active(revokedEarly)) misses.push('a token revoked before the window is good again')
  const revived = await active(late.token)
  if (!revived) misses.push('the revocation in the window was not lost, which proves nothing')
  const { rows } = await database.pool().query(`select detail from audit_entries where kind = 'database.promoted'`)
  if (rows.length !== 1) misses.push(`the promotion was audited ${rows.length} times`)

  const env = { DATABASE_URL: database.url, GATEHOUSE_ISSUER: installation.issuer, GATEHOUSE_SECRET: TEST_SECRET }
  const ended = await runCommand(env, ['revoke', '--all', '--yes']).answer
  for (const token of [late.token, person.body.access_token, machine.body.access_token])
    if (await active(token)) misses.push('a token is good after "revoke --all"')
  const again = await post(
    cluster,
    '/token',
    { grant_type: 'refresh_token', refresh_token: person.body.refresh_token },
    { id: 'spa' },
  )
  if (again.body.error !== 'invalid_grant') misses.push(`a refresh token after "revoke --all": ${again.status}`)
  const { status } = await obtainTokens(cluster, { id: 'spa' }, { scope: 'openid things:read' })
  if (status !== 200) misses.push(`nobody can sign in after "revoke --all": ${status}`)
  return {
    result: `asynchronous, ${BEHIND} ms behind: ${lost.length} of ${acknowledged.length} tokens lost, the oldest ${window} ms before the end; ${forgotten.codes} codes, ${forgotten.pushed} pushed requests and ${forgotten.links} links would have been good again; ${ended.accounts} accounts and ${ended.clients} clients revoked`,
    misses: misses.map((miss) => `asynchronous: ${miss}`),
  }
}

/** One of everything that may be used once, and a token that can be revoked. */
async function makeThings({ home, cast, issuer }: Installation, cluster: Cluster) {
  const shop = { id: 'shop', secret: cast.shop }
  const { browser, ...got } = await obtainCode(cluster, 'spa')
  const pushed = await post(
    cluster,
    '/par',
    Object.fromEntries(authorizeUrl(cluster, 'spa', pkce().challenge).searchParams),
    { id: 'spa' },
  )
  const pushedBy = `${issuer}/authorize?${new URLSearchParams({ client_id: 'spa', request_uri: String(pushed.body.request_uri) })}`
  const account = await home.rooms.accounts.add(
    { email: `${crypto.randomUUID()}@example.com`, name: 'Grace' },
    'operator',
  )
  const link = await home.rooms.accounts.makeSetPasswordLink(account!.id, 'operator')
  const token = await post(cluster, '/token', { ...MACHINE, resource: THINGS }, shop)
  const signer = await createSigner(issuer, `signs-${account!.id}`)
  await home.addClient({ id: `signs-${account!.id}`, authMethod: 'private_key_jwt', jwks: signer.jwks })
  const assertion = await signer.assert()
  const dpop = await (await createProver()).prove('POST', `${issuer}/token`)
  const once: Once[] = [
    { name: 'a code', use: async () => told(await redeem(cluster, { id: 'spa' }, got)) },
    {
      name: 'a pushed request',
      async use() {
        const { url, status } = await browser.open(pushedBy)
        return url.searchParams.has('code') ? 'good' : (url.searchParams.get('error') ?? String(status))
      },
    },
    {
      name: 'a link',
      async use() {
        const visitor = cluster.browser(0)
        const page = await visitor.open(`${issuer}/set-password?token=${link.token}`)
        if (page.status !== 200) return String(page.status)
        const { status } = await visitor.press(page, '', { password: WORDS })
        return status === 200 ? 'good' : String(status)
      },
    },
    { name: 'an assertion', use: async () => told(await post(cluster, '/token', { ...MACHINE, ...assertion })) },
    {
      name: 'a proof',
      async use() {
        const headers = { ...basic('billing', cast.billing), dpop }
        return told((await cluster.fire(1, () => ({ path: '/token', form: MACHINE, headers })))[0]!)
      },
    },
  ]
  return { once, token: token.body.access_token }
}

function told({ status, body }: { status: number; body: { error?: unknown } }): string {
  return status === 200 ? 'good' : `${status} ${body.error}`
}

async function expectAnswer(misses: string[], { name, use }: Once, when: string): Promise<void> {
  const answer = await use()
  if (answer !== 'good') misses.push(`${name} was not taken ${when}: ${answer}`)
}

/** Issues tokens until it is stopped. @returns what was acknowledged, and when (milliseconds of `performance.now()`) */
function startIssuing(cluster: Cluster, secret: string) {
  const acknowledged: { token: string; at: number }[] = []
  let over = false
  const work = async () => {
    while (!over) {
      const form = { ...MACHINE, resource: THINGS }
      const { status, body } = await post(cluster, '/token', form, { id: 'shop', secret })
      if (status === 200) acknowledged.push({ token: body.access_token, at: performance.now() })
      await sleep(20)
    }
  }
  const running = work()
  return {
    async stop() {
      over = true
      await running
      return acknowledged
    },
  }
}

/** What a server, asked directly, has that was not used. */
async function unusedAt(server: TestConnection, database: string) {
  const client = new pg.Client({ ...server, database })
  await client.connect()
  try {
    const { rows } = await client.query<Record<'codes' | 'pushed' | 'links', number>>(`select
      (select count(*)::int from authorization_codes where consumed_at is null) as codes,
      (select count(*)::int from pushed_requests where consumed_at is null) as pushed,
      (select count(*)::int from account_links where used_at is null) as links`)
    return rows[0]!
  } finally {
    await client.end()
  }
}
