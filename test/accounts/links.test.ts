// One-time links in the store: what is kept of them, how long they last, and that of many at once one succeeds.
import { createLinks, type LinkPurpose } from '../../src/accounts/links.ts'
import { createKeyRing } from '../../src/secrets/key-ring.ts'
import { makeRingKeys } from '../../src/secrets/ring-keys.ts'
import { type SlowDatabase, slowDown } from '../helpers/slow-database.ts'
import { addPerson, createPeople, entries, OTHER_PASSWORD, PASSWORD, type People } from './people.ts'

let people: People
let ada: string
let slow: SlowDatabase
/** two processes on the same database, with 25 ms on each statement's way and their connections made */
let nodes: ReturnType<People['open']>[]

beforeAll(async () => {
  people = await createPeople()
  ada = await addPerson(people, 'ada@example.com')
  slow = await slowDown(people.database.connection, 25)
  nodes = [people.open(slow.url), people.open(slow.url)]
  await Promise.all(nodes.flatMap(({ accounts }) => Array.from({ length: 10 }, () => accounts.list())))
})
afterAll(async () => {
  await people?.drop()
  await slow?.close()
})

/** Runs an act many times at once, on both processes in turn. */
const atOnce = <T>(times: number, act: (accounts: People['accounts'], index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, index) => act(nodes[index % 2]!.accounts, index)))

const linkRows = () => people.db.selectFrom('account_links').selectAll().execute()

it('S-166 S-178 a token has 256 random bits, and neither it nor a password is kept in clear', async () => {
  const set = await people.accounts.makeSetPasswordLink(ada, 'operator')
  const setup = await people.accounts.makeAdminLink('operator')
  for (const { token } of [set, setup]) expect(Buffer.from(token, 'base64url')).toHaveLength(32)
  expect(set.token).not.toBe(setup.token)
  const kept = JSON.stringify([
    await linkRows(),
    await people.db.selectFrom('accounts').selectAll().execute(),
    await people.db.selectFrom('audit_entries').selectAll().execute(),
  ])
  const bytes = (await linkRows()).map((row) => row.token_hash.toString('latin1')).join()
  expect(await linkRows()).toHaveLength(2)
  for (const { token } of [set, setup]) {
    expect(kept).not.toContain(token)
    expect(bytes).not.toContain(token)
    expect(bytes).not.toContain(Buffer.from(token, 'base64url').toString('latin1'))
  }
  expect(kept).not.toContain(PASSWORD)
  // Whoever has the rows and not the ring cannot even recognise a token.
  const strangers = createLinks({ unit: people.unit, ring: createKeyRing(makeRingKeys()), now: () => new Date(0) })
  expect(await strangers.inspect('set-password', set.token)).toBeUndefined()
})

it.each<[LinkPurpose, number]>([
  ['set-password', 24 * 3600],
  ['admin-setup', 3600],
])('a link to %s is good for %i seconds', async (purpose, seconds) => {
  const { accounts } = people
  const isGood = async (token: string) =>
    purpose === 'set-password'
      ? (await accounts.inspectSetPasswordLink(token))?.id === ada
      : accounts.inspectAdminLink(token)
  const make = () => (purpose === 'set-password' ? accounts.makeSetPasswordLink(ada, 'x') : accounts.makeAdminLink('x'))
  const { token } = await make()
  people.pass(seconds - 1)
  expect(await isGood(token)).toBe(true)
  people.pass(1)
  expect(await isGood(token)).toBe(false)
  const used =
    purpose === 'set-password'
      ? await accounts.useSetPasswordLink(token, OTHER_PASSWORD)
      : await accounts.useAdminLink(token, { email: 'late@example.com', name: '', password: PASSWORD })
  expect(used).toEqual({ outcome: 'expired' })
})

it('a link that expires while the password is hashed is not used', async () => {
  const { token } = await people.accounts.makeSetPasswordLink(ada, 'operator')
  people.pass(24 * 3600 - 1)
  const using = nodes[0]!.accounts.useSetPasswordLink(token, OTHER_PASSWORD)
  // It was good when it was looked at, a round trip ago.
  await new Promise((resolve) => setTimeout(resolve, 40))
  people.pass(2)
  expect(await using).toEqual({ outcome: 'expired' })
  expect(await people.accounts.authenticate('ada@example.com', PASSWORD)).toMatchObject({ ok: true })
})

it('of links made at once for one person, one is good', async () => {
  const made = await atOnce(8, (accounts) => accounts.makeSetPasswordLink(ada, 'operator'))
  const good = await Promise.all(made.map(({ token }) => people.accounts.inspectSetPasswordLink(token)))
  expect(good.filter(Boolean)).toHaveLength(1)
})

it('R-07 50 uses of one link at once, over two processes: one succeeds, in one commit with its audit entry', async () => {
  const id = await addPerson(people, 'many@example.com')
  const { token } = await people.accounts.makeSetPasswordLink(id, 'operator')
  const [ended, written] = [people.ended.length, (await entries(people, id)).length]
  const uses = await atOnce(50, (accounts, index) => accounts.useSetPasswordLink(token, `${OTHER_PASSWORD} ${index}`))
  const winner = uses.findIndex(({ outcome }) => outcome === 'done')
  expect(uses.map(({ outcome }) => outcome).sort()).toEqual(['done', ...Array(49).fill('expired')])
  expect(await people.accounts.authenticate('many@example.com', `${OTHER_PASSWORD} ${winner}`)).toMatchObject({
    ok: true,
  })
  expect(people.ended.slice(ended)).toEqual([`${id} password-changed`])
  expect((await entries(people, id)).slice(written)).toEqual([`account.password-set ${id}`])
})

it('S-178 set-ups at once with two different links, over two processes: one administrator', async () => {
  const links = [await people.accounts.makeAdminLink('operator')]
  // The second one as if it had been made in the same moment: of two that are made one after the other the older is dead.
  const rows = await people.db.selectFrom('account_links').selectAll().where('account_id', 'is', null).execute()
  links.push(await people.accounts.makeAdminLink('operator'))
  await people.db.insertInto('account_links').values(rows).execute()
  for (const { token } of links) expect(await people.accounts.inspectAdminLink(token)).toBe(true)

  const uses = await atOnce(12, (accounts, index) =>
    // Neighbours are in different processes and hold different links.
    accounts.useAdminLink(links[index % 2]!.token, {
      email: `admin-${index}@example.com`,
      name: '',
      password: PASSWORD,
    }),
  )
  expect(uses.map(({ outcome }) => outcome).sort()).toEqual(['done', ...Array(11).fill('expired')])
  const admins = (await people.accounts.list()).filter(({ role }) => role === 'admin')
  expect(admins.map(({ email }) => email)).toEqual([
    `admin-${uses.findIndex(({ outcome }) => outcome === 'done')}@example.com`,
  ])
  expect((await entries(people)).filter((entry) => entry.startsWith('account.admin-made'))).toHaveLength(1)
  for (const { token } of links) expect(await people.accounts.inspectAdminLink(token)).toBe(false)
})
