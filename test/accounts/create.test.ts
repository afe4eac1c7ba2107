// The acts on accounts: each changes what it says, ends what it must, and leaves one audit entry in the same commit.
import { newAccountId } from '../../src/accounts/account-id.ts'
import { addPerson, createPeople, entries, OTHER_PASSWORD, PASSWORD, type People } from './people.ts'

let people: People
beforeAll(async () => {
  people = await createPeople()
})
afterAll(() => people.drop())

it('an id is usr_ and 22 base62 characters, never the same twice', () => {
  const ids = Array.from({ length: 2000 }, newAccountId)
  expect(ids.filter((id) => !/^usr_[0-9A-Za-z]{22}$/.test(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
  // 44,000 characters: each of the 62 comes up.
  expect(new Set(ids.join('').replaceAll('usr_', ''))).toHaveProperty('size', 62)
})

it('adds a person, once per address in any spelling', async () => {
  const { accounts } = people
  const ada = await accounts.add({ email: ' Ada@Example.com ', name: 'Ada' }, 'operator')
  expect(ada).toMatchObject({ email: 'Ada@Example.com', name: 'Ada', role: 'user', hasPassword: false })
  expect(await accounts.add({ email: 'ada@EXAMPLE.com' }, 'operator')).toBeUndefined()
  expect(await accounts.findByEmail('ADA@example.com')).toEqual(ada)
  expect(await entries(people, ada!.id)).toEqual(['account.added operator'])
})

it('of many at once who add the same address one succeeds', async () => {
  const added = await Promise.all(
    Array.from({ length: 8 }, () => people.accounts.add({ email: 'many@example.com' }, 'operator')),
  )
  expect(added.filter(Boolean)).toHaveLength(1)
})

it('a change of name is audited, and only where there was somebody to change', async () => {
  const id = await addPerson(people, 'grace@example.com', 'Grace')
  expect(await people.accounts.rename(id, 'Grace Hopper', 'usr_somebody')).toBe(true)
  expect((await people.accounts.find(id))?.name).toBe('Grace Hopper')
  expect((await entries(people, id)).at(-1)).toBe('account.changed usr_somebody')
  expect(await people.accounts.rename('usr_nobody', 'X', 'operator')).toBe(false)
  expect(await entries(people, 'usr_nobody')).toEqual([])
})

it('disabling ends what is open and kills links; the second time says so and tells nobody', async () => {
  const id = await addPerson(people, 'joan@example.com')
  const { token } = await people.accounts.makeSetPasswordLink(id, 'operator')
  const before = people.ended.length
  expect(await people.accounts.disable(id, 'operator')).toBe(true)
  const first = (await people.accounts.find(id))?.disabledAt
  people.pass(60)
  expect(await people.accounts.disable(id, 'operator')).toBe(false)
  expect((await people.accounts.find(id))?.disabledAt).toEqual(first)
  expect(people.ended.slice(before)).toEqual([`${id} account-disabled`])
  expect(await people.accounts.inspectSetPasswordLink(token)).toBeUndefined()
  expect(await people.accounts.authenticate('joan@example.com', PASSWORD)).toEqual({
    ok: false,
    reason: 'owner-disabled',
  })
  expect(await people.accounts.enable(id, 'operator')).toBe(true)
  expect(await people.accounts.enable(id, 'operator')).toBe(false)
  expect(await people.accounts.authenticate('joan@example.com', PASSWORD)).toMatchObject({ ok: true })
  const switches = (await entries(people, id)).filter((entry) => /abled/.test(entry))
  expect(switches).toEqual(['account.disabled operator', 'account.enabled operator'])
})

it('a new password ends what was open under the old one', async () => {
  const id = await addPerson(people, 'mary@example.com')
  const before = people.ended.length
  expect(await people.accounts.setPassword(id, OTHER_PASSWORD, 'operator')).toBeUndefined()
  expect(people.ended.slice(before)).toEqual([`${id} password-changed`])
  expect(await people.accounts.authenticate('mary@example.com', PASSWORD)).toEqual({ ok: false, reason: 'unknown' })
  expect(await people.accounts.authenticate('mary@example.com', OTHER_PASSWORD)).toMatchObject({ ok: true })
  expect((await entries(people, id)).at(-1)).toBe('account.password-set operator')
})

it('S-156 the breach list is asked on every way to a password', async () => {
  const id = await addPerson(people, 'lise@example.com')
  people.leaked.push(OTHER_PASSWORD)
  const refusal = expect.stringMatching(/leak/)
  expect(await people.accounts.setPassword(id, OTHER_PASSWORD, 'operator')).toEqual(refusal)
  const link = await people.accounts.makeSetPasswordLink(id, 'operator')
  expect(await people.accounts.useSetPasswordLink(link.token, OTHER_PASSWORD)).toMatchObject({
    outcome: 'refused',
    faults: { password: refusal },
  })
  const setup = await people.accounts.makeAdminLink('operator')
  const root = { email: 'root@example.com', name: '', password: OTHER_PASSWORD }
  expect(await people.accounts.useAdminLink(setup.token, root)).toMatchObject({ faults: { password: refusal } })
  people.leaked.length = 0
  expect(await people.accounts.authenticate('lise@example.com', PASSWORD)).toMatchObject({ ok: true })
})

it('an act that fails leaves neither change nor entry', async () => {
  const id = await addPerson(people, 'emmy@example.com')
  const before = await entries(people)
  await expect(
    people.unit.run(async () => {
      await people.accounts.rename(id, 'Emmy', 'operator')
      await people.accounts.disable(id, 'operator')
      throw new Error('the request broke')
    }),
  ).rejects.toThrow('the request broke')
  expect(await people.accounts.find(id)).not.toHaveProperty('disabledAt')
  expect((await people.accounts.find(id))?.name).toBeUndefined()
  expect(await entries(people)).toEqual(before)
})

it('removing somebody ends what hangs on them, links included', async () => {
  const id = await addPerson(people, 'gone@example.com')
  const { token } = await people.accounts.makeSetPasswordLink(id, 'operator')
  expect(await people.accounts.remove(id, 'operator')).toBe(true)
  expect(people.ended.at(-1)).toBe(`${id} account-removed`)
  expect(await people.accounts.find(id)).toBeUndefined()
  expect(await people.accounts.remove(id, 'operator')).toBe(false)
  expect(await people.accounts.useSetPasswordLink(token, PASSWORD)).toEqual({ outcome: 'expired' })
  expect(await people.accounts.setPassword(id, PASSWORD, 'operator')).toBe('There is no such person.')
})
