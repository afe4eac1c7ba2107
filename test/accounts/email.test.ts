// Which texts are one email address, and which two are the same.
import { emailKey, isEmail } from '../../src/accounts/email.ts'
import { addPerson, createPeople, PASSWORD } from './people.ts'

it.each([
  'ada@example.com',
  'Ada.Lovelace+tag@sub.Example.COM',
  "o'brien@example.ie",
  'a@localhost',
  'user/dept=x@example.com',
  'ada@b\u00fccher.example',
  'ada@xn--bcher-kva.example',
  '\u8cec\u4e94@\u4f8b\u5b50.\u6e2c\u8a66',
  '12345@163.com',
  `${'x'.repeat(64)}@example.com`,
])('is an address: %s', (text) => expect(isEmail(text)).toBe(true))

it.each([
  ['nothing', ''],
  ['no @', 'ada'],
  ['no local part', '@example.com'],
  ['no domain', 'ada@'],
  ['two @', 'ada@eve@example.com'],
  ['two addresses', 'ada@example.com,eve@example.com'],
  ['two with a semicolon', 'ada@example.com;eve@example.com'],
  ['two lines', 'ada@example.com\neve@example.com'],
  ['a header', 'ada@example.com\r\nBcc: eve@example.com'],
  ['a name before it', 'Ada <ada@example.com>'],
  ['a comment', 'ada(comment)@example.com'],
  ['a quoted local part', '"ada eve"@example.com'],
  ['a space', 'ada eve@example.com'],
  ['a NUL', 'ada\0@example.com'],
  ['an invisible character', 'ada\u200b@example.com'],
  ['a character that turns the direction', 'ada\u202e@example.com'],
  ['half a character', 'ada\ud800@example.com'],
  ['a path after the domain', 'ada@example.com/x'],
  ['a query after the domain', 'ada@example.com?x'],
  ['a fragment after the domain', 'ada@example.com#x'],
  ['an escape in the domain', 'ada@ex%61mple.com'],
  ['an empty label', 'ada@example..com'],
  ['a dot at the end', 'ada@example.com.'],
  ['a number that browsers take for an address', 'ada@127.1'],
  ['an IP address', 'ada@[127.0.0.1]'],
  ['too long a local part', `${'x'.repeat(65)}@example.com`],
  ['too long', `ada@${'x'.repeat(60)}.${'y'.repeat(200)}`],
])('S-168 is no address: %s', (_what, text) => expect(isEmail(text)).toBe(false))

it.each([
  ['letter case', 'Ada@Example.COM', 'ada@example.com'],
  ['space around it', ' ada@example.com\t', 'ada@example.com'],
  ['composed and combining letters', 'ren\u00e9@example.com', 'rene\u0301@example.com'],
  ['a domain as people and as browsers write it', 'ada@B\u00fccher.example', 'ada@xn--bcher-kva.example'],
])('the same: %s', (_what, one, other) => {
  expect(emailKey(one)).toBe(emailKey(other))
  expect(emailKey(emailKey(one))).toBe(emailKey(one))
})

it.each([
  ['plus signs', 'ada+x@example.com', 'ada@example.com'],
  ['dots', 'a.da@example.com', 'ada@example.com'],
  ['a domain of look-alikes', 'ada@ex\u0430mple.com', 'ada@example.com'],
  ['a local part of look-alikes', '\u0430da@example.com', 'ada@example.com'],
  ['a ligature in the local part', '\ufb01ona@example.com', 'fiona@example.com'],
  ['a letter that folds to two', 'stra\u00dfe@example.com', 'strasse@example.com'],
])('not the same: %s', (_what, one, other) => expect(emailKey(one)).not.toBe(emailKey(other)))

it('what is no address has a key, too', () => {
  expect(['', 'Ada', 'ada@a b', 'a@x.123'].map(emailKey)).toEqual(['', 'ada', 'ada@a b', 'a@x.123'])
})

it('who was added with letters of her country signs in with what the browser sends', async () => {
  const people = await createPeople()
  try {
    const id = await addPerson(people, 'ada@b\u00fccher.example')
    expect(await people.accounts.authenticate('ada@xn--bcher-kva.example', PASSWORD)).toMatchObject({
      ok: true,
      account: { id, email: 'ada@b\u00fccher.example' },
    })
    expect(await people.accounts.add({ email: 'ADA@xn--bcher-kva.example' }, 'operator')).toBeUndefined()
  } finally {
    await people.drop()
  }
})
