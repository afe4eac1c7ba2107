// Which passwords are taken: long ones, of any characters, that are not a well-known thing made long (SP 800-63B-4).
import { passwordFault } from '../../src/accounts/password-policy.ts'

const ada = { email: 'ada.lovelace@engines.example', name: 'Ada Lovelace' }
const fault = (password: string) => passwordFault(password, ada)

const GOOD = [
  'four mossy lanterns by the gate',
  'crisp violins at midnight',
  'the cat sat on the mat',
  'I love New York in June',
  'my dog eats the homework',
  'welcome to my tiny house',
  'summer rain on a tin roof',
  'monday morning coffee',
  'sunshine after the rain',
  'please water the plants',
  'a secret garden in may',
  'my password is 3 words',
  'hello darkness my friend',
  'monkey in a maple tree',
  'winter is coming again',
  'grandma bakes plum cake',
  'rubber duck battleship',
  'purple-hippo-kettle-9',
  'two eggs and some bacon',
  'there were three trees',
  'the weather was greater',
  'we were feeding the deer',
  'no pool noodles please',
  'Mississippi riverboats',
  'blue.green.yellow.red',
  'never trust a skinny cook',
  'paris in the twenties',
  'born in 1984 in Lisbon',
  'my 2 sons and 1 daughter',
  'ada likes steam engines',
  'Lovelace wrote programs',
  'charlie drinks oat milk',
  'chelsea bun and hot tea',
  'michael row the boat',
  'batman never sleeps well',
  'le chat noir de minuit',
  'der Igel frisst Schnecken',
  'ein kleines grünes Haus',
  'sju små blå elefanter',
  'la lluvia cae en abril',
  'αυτό είναι δύσκολο',
  'очень длинная фраза',
  'これはとても長い合言葉ですよね',
  '我们每天早上都喝茶然后去公园散步',
  'aaa batteries for lamps',
  'xK9#mQ2$vL7@pR4!',
  'kvbtwzhqpxnmrcd',
  '839201746352918',
  '9f86d081884c7d65',
  '🐢🐝🍋🎺🚲🪁 and seven ducks',
]

const BAD = [
  '123456789012345',
  '1234567890123456',
  '098765432109876',
  '111111111111111',
  '112233445566778899',
  '123123123123123',
  '123321123321123321',
  '147258369147258',
  'aaaaaaaaaaaaaaab',
  'abababababababab',
  'abcdefghijklmnop',
  'qwertyuiopasdfgh',
  'qwertyuiop123456',
  'QWERTYUIOP!@#$%^',
  'asdfghjklzxcvbnm',
  '1q2w3e4r5t6y7u8i',
  'q1w2e3r4t5y6u7i8',
  '1qaz2wsx3edc4rfv',
  'zaq1xsw2cde3vfr4',
  'qwertzuiopasdfg',
  'passwordpassword',
  'Password12345678',
  'P@ssw0rdP@ssw0rd!',
  'Password2026!!!!',
  'password.password.password',
  'mypasswordismypassword',
  'MySecretPassword',
  'admin-admin-2026',
  'Administrator123!',
  'administrator1234',
  'Welcome123456789!',
  'We1come2We1come2',
  'ChangeMe2026!!!!',
  'letmeinletmein99',
  'Summer2026Summer',
  'WinterSummer2025!',
  'iloveyouiloveyou',
  'i love you so much',
  'sunshineprincess1',
  'football12345678',
  'xkcdxkcdxkcdxkcd',
  'blackcat1 blackcat1',
  'correct horse battery staple',
  'CorrectHorseBatteryStaple1',
  'tobeornottobethatisthequestion',
  'thisismypassword',
  'gatehouse-password',
  'Gatehouse12345!!',
  'ada.lovelace@engines.example',
  'AdaLovelace1815!!',
]

describe('S-155 length, and nothing else about kinds of characters', () => {
  it.each([
    ['fourteen characters', 'kvbtwzhqpxnmrc', /at least 15/],
    ['thirteen characters, however many bytes', '🐢🐝🍋🎺🚲🪁🧭🎻🌵🦔🧶🪗🛶', /at least 15/],
    ['nothing', '', /at least 15/],
    ['more than 1024', 'many different words '.repeat(50), /at most 1024/],
  ])('refuses %s', async (_what, password, reason) => {
    expect(await fault(password)).toMatch(reason)
  })

  it.each([
    ['fifteen of one kind', 'kvbtwzhqpxnmrcd'],
    ['64 characters', 'four mossy lanterns by the gate, and a fifth one by the old well'],
    ['1024 characters', `${'many different words '.repeat(48)}and the end…….`],
    ['spaces, tabs and symbols', ' \t…fünf "Wörter" <b>'],
    ['combining characters', 'e\u0301te\u0301 a\u0300 la plage d\u2019or'],
  ])('takes %s', async (_what, password) => {
    expect(await fault(password)).toBeUndefined()
  })
})

describe('S-156 what everybody tries, made long', () => {
  it('is refused, with the reason', async () => {
    const taken = []
    for (const password of BAD) if (!(await fault(password))?.startsWith('This is easy to guess')) taken.push(password)
    expect(taken).toEqual([])
  })

  it('ordinary passphrases are not', async () => {
    const refused = []
    for (const password of GOOD) if ((await fault(password)) !== undefined) refused.push(password)
    expect(refused).toEqual([])
  })

  it('whose password it is counts', async () => {
    const password = 'GraceHopper19061!'
    expect(await fault(password)).toBeUndefined()
    expect(await passwordFault(password, { email: 'grace@navy.example', name: 'Grace Hopper' })).toMatch(/your name/)
    expect(await passwordFault(password, { email: 'hopper.grace@navy.example' })).toMatch(/your name/)
  })

  it('a list of breached passwords is asked last, and only when there is one', async () => {
    const asked: string[] = []
    const isBreached = async (password: string) => asked.push(password) > 0
    expect(await passwordFault('passwordpassword', { ...ada, isBreached })).toMatch(/easy to guess/)
    expect(asked).toEqual([])
    expect(await passwordFault('four mossy lanterns', { ...ada, isBreached })).toMatch(/seen in a leak/)
    expect(asked).toEqual(['four mossy lanterns'])
  })
})

it('a long password costs no time to judge', async () => {
  const began = performance.now()
  for (const text of ['a', 'ab', 'abc1', 'password', '1q2w3e']) await fault(text.repeat(1024).slice(0, 1024))
  await fault(`${'x'.repeat(511)}y${'x'.repeat(512)}`)
  expect(performance.now() - began).toBeLessThan(2000)
})
