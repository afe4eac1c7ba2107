// The life of signing keys over a real database: what is due, what is refused, and several nodes at it together.
import { createAudit } from '../../src/audit/append.ts'
import { type Connected, connect } from '../../src/db/connect.ts'
import { createUnitOfWork } from '../../src/db/unit-of-work.ts'
import { createEndings, keyOfName } from '../../src/endings/end.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { ensureSigningKeys } from '../../src/signing-keys/ensure.ts'
import type { KeyRecord } from '../../src/signing-keys/key.ts'
import { makeSigningKey } from '../../src/signing-keys/make.ts'
import { createKeyRotation } from '../../src/signing-keys/rotate.ts'
import { createSigningKeyStore, describeKeys } from '../../src/signing-keys/store.ts'
import type { KeyTimes } from '../../src/signing-keys/times.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'

const SECOND = 1000
const TIMES: KeyTimes = { published: 300 * SECOND, retiring: 600 * SECOND, period: 3600 * SECOND, look: SECOND }
const ring = createKeyRing(makeRingKeys())

let database: TestDatabase
let time: number
let inUse: Set<string>
const connections: Connected[] = []
const now = () => new Date(time)
const pass = (milliseconds: number) => {
  time += milliseconds
}

beforeEach(async () => {
  database = await createTestDatabase()
  time = Date.parse('2026-01-01T00:00:00Z')
  inUse = new Set(['ES256', 'RS256'])
})
afterEach(async () => {
  await Promise.all(connections.splice(0).map((one) => one.close()))
  await database.drop()
})

function node(times = TIMES) {
  const connected = connect(database.connection, { max: 3 })
  connections.push(connected)
  const unit = createUnitOfWork(connected.db)
  const store = createSigningKeyStore({ unit, ring })
  const audit = createAudit({ unit, now, requestId: () => undefined })
  const endings = createEndings({ unit, now })
  const rotation = createKeyRotation({
    unit,
    store,
    audit,
    now,
    times,
    algorithmsInUse: async () => inUse,
    endKey: (kid) => endings.endNamed('key', kid, 'key-compromised'),
  })
  return { db: connected.db, unit, store, audit, endings, rotation }
}

type Node = ReturnType<typeof node>
const states = async ({ store }: Node, alg = 'ES256') =>
  (await store.records()).filter((key) => key.alg === alg).map(({ state }) => state)
const one = async ({ store }: Node, alg: string, state: KeyRecord['state']) => {
  const found = (await store.records()).filter((key) => key.alg === alg && key.state === state)
  expect([alg, state, found.length]).toEqual([alg, state, 1])
  return found[0]!
}
const entries = async ({ db }: Node) =>
  (await db.selectFrom('audit_entries').select(['kind', 'actor', 'subject']).orderBy('id').execute()).map(
    ({ kind, actor, subject }) => `${kind} ${actor} ${subject}`,
  )

/** A node whose keys are in use, with successors published just now. */
async function begun(times = TIMES): Promise<Node> {
  const made = node(times)
  await ensureSigningKeys({ ...made, now })
  await made.rotation.step()
  return made
}

describe('on schedule', () => {
  it('S-022 a key is published, signs, retires and goes, each at its time and not before', async () => {
    const self = await begun()
    const first = await one(self, 'ES256', 'active')
    const second = await one(self, 'ES256', 'next')
    expect(await self.rotation.step()).toEqual([])

    pass(TIMES.period - 1)
    expect(await self.rotation.step()).toEqual([])
    pass(1)
    const steps = await self.rotation.step()
    expect(steps.filter(({ alg }) => alg === 'ES256')).toEqual([
      { step: 'retired', alg: 'ES256', kid: first.kid },
      { step: 'activated', alg: 'ES256', kid: second.kid },
      { step: 'published', alg: 'ES256', kid: (await one(self, 'ES256', 'next')).kid },
    ])
    expect(await states(self)).toEqual(['active', 'next', 'retiring'])
    expect(await one(self, 'ES256', 'retiring')).toMatchObject({ kid: first.kid, retiredAt: now() })

    pass(TIMES.retiring - 1)
    expect(await self.rotation.step()).toEqual([])
    pass(1)
    expect((await self.rotation.step()).map(({ step, alg }) => `${step} ${alg}`)).toEqual([
      'removed ES256',
      'removed RS256',
    ])
    expect((await self.store.list()).some(({ kid }) => kid === first.kid)).toBe(false)
    const row = self.db.selectFrom('signing_keys').selectAll().where('kid', '=', first.kid)
    expect(await row.executeTakeFirst()).toMatchObject({ state: 'gone', private_sealed: null, gone_at: now() })
    const told = (await entries(self)).filter((entry) => entry.endsWith(first.kid) || entry.endsWith(second.kid))
    expect(told).toEqual([
      `key.activated server ${first.kid}`,
      `key.published server ${second.kid}`,
      `key.retired server ${first.kid}`,
      `key.activated server ${second.kid}`,
      `key.removed server ${first.kid}`,
    ])
  })

  it('S-022 a successor that was published late keeps the key before it in use', async () => {
    const self = node()
    await ensureSigningKeys({ ...self, now })
    pass(TIMES.period)
    await self.rotation.step()
    expect(await states(self)).toEqual(['active', 'next'])
    pass(TIMES.published - 1)
    await self.rotation.step()
    expect(await states(self)).toEqual(['active', 'next'])
    pass(1)
    await self.rotation.step()
    expect(await states(self)).toEqual(['active', 'next', 'retiring'])
  })

  it('four nodes at once make each step once', async () => {
    const self = await begun()
    const nodes = [self, node(), node(), node()]
    await Promise.all(nodes.map(({ db }) => db.selectFrom('signing_keys').select('kid').execute())) // warm
    pass(TIMES.period)
    const done = (await Promise.all(nodes.map(({ rotation }) => rotation.step()))).flat()
    expect(done.map(({ step, alg }) => `${step} ${alg}`).sort()).toEqual(
      ['activated', 'published', 'retired'].flatMap((step) => [`${step} ES256`, `${step} RS256`]),
    )
    for (const alg of ['ES256', 'RS256']) expect(await states(self, alg)).toEqual(['active', 'next', 'retiring'])
    expect((await entries(self)).length).toBe(4 + 6)
  })

  it('turns that come faster than keys may be published find more keys standing by', async () => {
    const quick = { ...TIMES, period: 200 * SECOND }
    const self = await begun(quick)
    expect(await states(self)).toEqual(['active', 'next', 'next'])
    pass(TIMES.published)
    await self.rotation.step()
    const turns = new Set<string>()
    for (let turn = 0; turn < 4; turn++) {
      pass(quick.period)
      await self.rotation.step()
      const active = await one(self, 'ES256', 'active')
      expect(active.activatedAt).toEqual(now())
      expect(now().getTime() - active.publishedAt.getTime()).toBeGreaterThanOrEqual(TIMES.published)
      turns.add(active.kid)
    }
    expect(turns.size).toBe(4)
  })

  it('whoever is told to stop waits for no key', async () => {
    const self = node()
    await ensureSigningKeys({ ...self, now })
    const never = createKeyRotation({
      ...self,
      now,
      times: TIMES,
      algorithmsInUse: async () => inUse,
      endKey: async () => undefined,
      make: () => new Promise(() => undefined),
    })
    const stopping = new AbortController()
    const step = never.step(stopping.signal)
    setTimeout(() => stopping.abort(), 50)
    expect(await step).toEqual([])
    expect(await states(self)).toEqual(['active'])
  })
})

describe('by an operator', () => {
  it('S-022 rotates when the successor has been published long enough, else says when', async () => {
    const self = await begun()
    const next = await one(self, 'ES256', 'next')
    pass(TIMES.published - 1)
    const from = new Date(time + 1)
    expect(await self.rotation.rotate(['ES256'], 'operator')).toEqual({
      ok: false,
      waiting: [{ alg: 'ES256', kid: next.kid, from }],
    })
    expect(await states(self)).toEqual(['active', 'next'])
    pass(1)
    expect(await self.rotation.rotate(['ES256'], 'operator')).toMatchObject({ ok: true })
    expect((await one(self, 'ES256', 'active')).kid).toBe(next.kid)
    expect(await states(self)).toEqual(['active', 'next', 'retiring'])
    expect(await states(self, 'RS256')).toEqual(['active', 'next'])
    expect((await entries(self)).slice(-3)).toEqual([
      expect.stringMatching(/^key.retired operator /),
      `key.activated operator ${next.kid}`,
      expect.stringMatching(/^key.published operator /),
    ])
  })

  it('rotates all that was asked for, or nothing', async () => {
    const self = await begun()
    pass(TIMES.published)
    await self.rotation.rotate(['RS256'], 'operator')
    const refused = await self.rotation.rotate(['ES256', 'RS256'], 'operator')
    expect(refused).toMatchObject({ ok: false, waiting: [{ alg: 'RS256' }] })
    expect(await states(self)).toEqual(['active', 'next'])
  })

  it('activates nothing that is not published: it publishes, and refuses', async () => {
    const self = node()
    await ensureSigningKeys({ ...self, now })
    const rotated = await self.rotation.rotate(['ES256'], 'operator')
    const next = await one(self, 'ES256', 'next')
    const from = new Date(time + TIMES.published)
    expect(rotated).toEqual({ ok: false, waiting: [{ alg: 'ES256', kid: next.kid, from }] })
  })

  it('takes a key away only when it signs no more and its time is over', async () => {
    const self = await begun()
    const active = await one(self, 'ES256', 'active')
    const next = await one(self, 'ES256', 'next')
    const retire = (kid: string) => self.rotation.retire(kid, false, 'operator')
    expect(await retire(active.kid)).toEqual({ ok: false, reason: 'signs' })
    expect(await retire(next.kid)).toEqual({ ok: false, reason: 'stands-by' })
    expect(await retire('nobody')).toEqual({ ok: false, reason: 'unknown' })
    pass(TIMES.published)
    await self.rotation.rotate(['ES256'], 'operator')
    const from = new Date(time + TIMES.retiring)
    expect(await retire(active.kid)).toEqual({ ok: false, reason: 'too-early', from })
    pass(TIMES.retiring)
    expect(await retire(active.kid)).toEqual({ ok: true, alg: 'ES256' })
    expect(await retire(active.kid)).toEqual({ ok: false, reason: 'gone' })
    expect(await states(self)).toEqual(['active', 'next', 'gone'])
    expect(await self.endings.anyEnded([{ kind: 'key', key: keyOfName('key', active.kid) }])).toBe(false)
  })
})

describe('in an emergency', () => {
  it('S-023 a key goes at once, what it signed has ended, and its successor signs', async () => {
    const self = await begun()
    const leaked = await one(self, 'RS256', 'active')
    const next = await one(self, 'RS256', 'next')
    const retired = await self.rotation.retire(leaked.kid, true, 'operator')
    expect(retired).toEqual({ ok: true, alg: 'RS256', successor: next.kid })
    expect((await one(self, 'RS256', 'active')).kid).toBe(next.kid)
    expect(await states(self, 'RS256')).toEqual(['active', 'next', 'gone']) // and the next emergency finds a successor, too
    expect(await self.endings.anyEnded([{ kind: 'key', key: keyOfName('key', leaked.kid) }])).toBe(true)
    expect((await entries(self)).slice(-3)).toEqual([
      `key.compromised operator ${leaked.kid}`,
      `key.activated operator ${next.kid}`,
      expect.stringMatching(/^key.published operator /),
    ])
    expect(await self.rotation.retire(leaked.kid, true, 'operator')).toEqual({ ok: false, reason: 'gone' })
  })

  it('S-023 a key that signs no more, or not yet, goes alone', async () => {
    const self = await begun()
    pass(TIMES.published)
    await self.rotation.rotate(['ES256'], 'operator')
    const active = await one(self, 'ES256', 'active')
    for (const state of ['retiring', 'next'] as const) {
      const { kid } = await one(self, 'ES256', state)
      expect(await self.rotation.retire(kid, true, 'operator')).toEqual({ ok: true, alg: 'ES256' })
    }
    expect(await states(self)).toEqual(['active', 'next', 'gone', 'gone'])
    expect((await one(self, 'ES256', 'active')).kid).toBe(active.kid)
  })

  it('the last key of an algorithm in use stays; one that nothing is signed with may go', async () => {
    const self = node()
    await ensureSigningKeys({ ...self, now })
    const { kid } = await one(self, 'ES256', 'active')
    expect(await self.rotation.retire(kid, true, 'operator')).toEqual({ ok: false, reason: 'last' })
    expect(await states(self)).toEqual(['active'])
    inUse = new Set(['RS256'])
    expect(await self.rotation.retire(kid, true, 'operator')).toEqual({ ok: true, alg: 'ES256' })
    // The schedule sees to it that there is one again before something is signed with it.
    await self.rotation.step()
    expect(await states(self)).toEqual(['active', 'next', 'gone'])
  })

  it('two operators and the schedule at once: one change after the other, never two keys that sign', async () => {
    const self = await begun()
    const others = [node(), node()]
    pass(TIMES.period)
    const { kid } = await one(self, 'ES256', 'active')
    const results = await Promise.allSettled([
      self.rotation.step(),
      others[0]!.rotation.rotate(['ES256'], 'operator'),
      others[1]!.rotation.retire(kid, true, 'operator'),
    ])
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
    await self.rotation.step()
    const found = await states(self)
    expect(found.filter((state) => state === 'active' || state === 'next')).toEqual(['active', 'next'])
    expect((await self.store.records()).find((key) => key.kid === kid)?.state).toBe('gone')
  })
})

it('the database itself allows one signing key per algorithm, and no private part of one that is gone', async () => {
  const self = await begun()
  const second = await makeSigningKey('ES256', now())
  await expect(self.store.insert(second, 'active', now())).rejects.toThrow(/signing_keys_one_active/)
  await expect(self.db.updateTable('signing_keys').set({ state: 'gone', gone_at: now() }).execute()).rejects.toThrow(
    /signing_keys_private_check/,
  )
})

it('several keys of one algorithm: the one that signs comes first; and the fingerprint is that of the list', async () => {
  const self = await begun()
  for (let turn = 0; turn < 2; turn++) {
    pass(TIMES.published)
    await self.rotation.rotate(['ES256'], 'operator')
  }
  const keys = await self.store.list()
  expect(keys.map(({ alg, state }) => `${alg} ${state}`)).toEqual([
    ...['ES256 active', 'ES256 next', 'ES256 retiring', 'ES256 retiring'],
    ...['RS256 active', 'RS256 next'],
  ])
  expect(await self.store.fingerprint()).toBe(describeKeys(keys))
})
