// The rows of signing keys: private parts sealed under the ring's at-rest key, states changed by compare-and-set.
import type { JWK } from 'jose'
import { type Selectable, sql } from 'kysely'
import { LOCKS } from '../db/locks.ts'
import type { SigningKeysTable } from '../db/schema.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import type { KeyRing } from '../secrets/key-ring.ts'
import type { FreshKey, KeyRecord, SigningAlgorithm, SigningKey } from './key.ts'

export interface SigningKeyStore {
  /** @returns the published keys with their private parts; of each algorithm the active one first, then those who wait */
  list(): Promise<readonly SigningKey[]>
  /** @returns every key that ever was, in the same order, gone ones last */
  records(): Promise<readonly KeyRecord[]>
  /** @returns `describeKeys` of the published keys, without reading them */
  fingerprint(): Promise<string>
  insert(key: FreshKey, state: 'next' | 'active', at: Date): Promise<void>
  /** next → active */
  activate(kid: string, at: Date): Promise<void>
  /** active → retiring */
  retire(kid: string, at: Date): Promise<void>
  /** any → gone; the private part is deleted */
  remove(kid: string, at: Date): Promise<void>
  /** Holds all others who would change keys off, until the unit of work ends. */
  lock(): Promise<void>
  /** @returns false when somebody else holds the lock */
  tryLock(): Promise<boolean>
  /** Takes the lock, and seals again every private key that was sealed under an older version of the ring. @returns how many */
  reseal(): Promise<number>
}

/** @returns what tells one set of published keys and states from another */
export function describeKeys(keys: readonly Pick<KeyRecord, 'kid' | 'state'>[]): string {
  return keys
    .map(({ kid, state }) => `${kid} ${state}`)
    .sort()
    .join()
}

/** @returns the store of signing keys */
export function createSigningKeyStore({ unit, ring }: { unit: UnitOfWork; ring: KeyRing }): SigningKeyStore {
  const purpose = (kid: string) => `signing-key ${kid}`
  const rows = async () => (await unit.read()).selectFrom('signing_keys').selectAll()
  const step = async (kid: string, from: KeyRecord['state'] | undefined, change: object) => {
    const db = await unit.write()
    const query = db.updateTable('signing_keys').set(change).where('kid', '=', kid)
    const { numUpdatedRows } = await (from ? query.where('state', '=', from) : query).executeTakeFirst()
    if (numUpdatedRows !== 1n) throw new Error(`signing key ${kid} is not ${from ?? 'there'} any more`)
  }
  const lock = async () => {
    await sql`select pg_advisory_xact_lock(${LOCKS.signingKeys})`.execute(await unit.write())
  }
  return {
    async list() {
      const published = await (await rows()).where('state', '<>', 'gone').execute()
      const keys = published.map((row) => ({
        ...recordOf(row),
        privateJwk: JSON.parse(ring.open(purpose(row.kid), row.private_sealed!).toString('utf8')) as JWK,
      }))
      return keys.sort(rank)
    },

    records: async () => (await (await rows()).execute()).map(recordOf).sort(rank),

    async fingerprint() {
      const db = await unit.read()
      const { rows } = await sql<{ keys: string | null }>`
        select string_agg(kid || ' ' || state, ',' order by (kid || ' ' || state) collate "C") as keys
        from signing_keys where state <> 'gone'`.execute(db)
      return rows[0]?.keys ?? ''
    },

    async insert(key, state, at) {
      const db = await unit.write()
      await db
        .insertInto('signing_keys')
        .values({
          kid: key.kid,
          alg: key.alg,
          state,
          public_jwk: JSON.stringify(key.publicJwk),
          private_sealed: ring.seal(purpose(key.kid), Buffer.from(JSON.stringify(key.privateJwk))),
          created_at: key.createdAt,
          published_at: at,
          activated_at: state === 'active' ? at : null,
        })
        .execute()
    },

    async reseal() {
      const db = await unit.write()
      // Rows alone would be locked in another order than by whoever moves keys along.
      await lock()
      const rows = await db.selectFrom('signing_keys').select(['kid', 'private_sealed']).forUpdate().execute()
      let count = 0
      for (const { kid, private_sealed } of rows) {
        const again = private_sealed && ring.reseal(purpose(kid), private_sealed)
        if (!again) continue
        await db.updateTable('signing_keys').set({ private_sealed: again }).where('kid', '=', kid).execute()
        count += 1
      }
      return count
    },

    activate: (kid, at) => step(kid, 'next', { state: 'active', activated_at: at }),
    retire: (kid, at) => step(kid, 'active', { state: 'retiring', retired_at: at }),
    remove: (kid, at) => step(kid, undefined, { state: 'gone', gone_at: at, private_sealed: null }),

    lock,

    async tryLock() {
      const lock = sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${LOCKS.signingKeys}) as mine`
      return (await lock.execute(await unit.write())).rows[0]?.mine === true
    },
  }
}

function recordOf(row: Selectable<SigningKeysTable>): KeyRecord {
  return {
    kid: row.kid,
    alg: row.alg as SigningAlgorithm,
    state: row.state,
    publicJwk: row.public_jwk as JWK,
    createdAt: row.created_at,
    publishedAt: row.published_at ?? row.created_at,
    ...(row.activated_at && { activatedAt: row.activated_at }),
    ...(row.retired_at && { retiredAt: row.retired_at }),
    ...(row.gone_at && { goneAt: row.gone_at }),
  }
}

const STATES: readonly KeyRecord['state'][] = ['active', 'next', 'retiring', 'gone']

// The engine signs with the first key of an algorithm, so the active one comes first; those who wait, the oldest first.
function rank(a: KeyRecord, b: KeyRecord): number {
  const byState = STATES.indexOf(a.state) - STATES.indexOf(b.state)
  return (
    a.alg.localeCompare(b.alg) ||
    byState ||
    a.publishedAt.getTime() - b.publishedAt.getTime() ||
    a.kid.localeCompare(b.kid)
  )
}
