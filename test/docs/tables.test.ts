// What the README's tables say of lifetimes, clients, pages and commands, held against the code.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { CLIENT_KINDS } from '../../src/clients/client.ts'
import { readClientFields } from '../../src/clients/fields.ts'
import { SWEPT, SWEPT_TABLES } from '../../src/db/swept.ts'
import { LIFETIMES } from '../../src/provider/parts.ts'
import { readResourceFields } from '../../src/resources/fields.ts'
import { LIMITS } from '../../src/throttle/limits.ts'
import { GRACE_SECONDS } from '../../src/tokens/families.ts'
import { KEY_TIMES } from '../../src/wire-keys.ts'
import { createRun } from '../cli/run.ts'
import { blocksOf, codeIn, DOCUMENTS, proseOf, ROOT, readDocument, tableOf } from '../helpers/documents.ts'

const readme = readDocument('README.md')

describe('lifetimes', () => {
  const rows = new Map(tableOf(readme, 'What').map(([what, ends]) => [what!, durations(ends!)]))
  const links = readDocument('src/accounts/links.ts')
  const minutesOf = (purpose: string) =>
    new RegExp(`'${purpose}': ([\\d *]+)`)
      .exec(links)![1]!
      .split('*')
      .reduce((all, factor) => all * Number(factor), 1)

  it.each([
    ['authorization code', LIFETIMES.code],
    ['pushed authorization request', LIFETIMES.pushedRequest],
    ['sign-in or consent page', LIFETIMES.interaction],
    ['access token', LIFETIMES.accessToken],
    ['ID token', LIFETIMES.idToken],
    ['refresh token, unused', LIFETIMES.refreshIdle],
    ['refresh token, however often used', LIFETIMES.refreshAbsolute],
    ['grace for a rotated refresh token', GRACE_SECONDS],
    ['login session, unused', LIFETIMES.sessionIdle],
    ['login session, however often used', LIFETIMES.sessionAbsolute],
    ['link for the first administrator', minutesOf('admin-setup')],
    ['link to set a password', minutesOf('set-password')],
    ['caches of metadata and public keys', LIFETIMES.jwksCache],
  ])('%s', (what, seconds) => {
    expect(rows.get(what)?.[0]).toBe(seconds)
  })

  it('names nothing else', () => {
    expect(rows.size).toBe(13)
  })

  it('the longest life of an access token is as told, to the second', () => {
    const [, jwt, opaque] = rows.get('access token')!
    const takes = (format: string, seconds: number) =>
      readResourceFields({ id: 'urn:a', name: 'A', tokens: { format, lifetime: `${seconds}s` } }).ok
    expect([takes('jwt', jwt!), takes('jwt', jwt! + 1)]).toEqual([true, false])
    expect([takes('opaque', opaque!), takes('opaque', opaque! + 1)]).toEqual([true, false])
  })
})

it('what is over is removed when it is told', () => {
  const LONGER: Record<string, string> = {
    pushed_requests: 'pushed requests',
    interactions: 'unfinished sign-ins',
    account_links: 'one-time links',
    throttle_buckets: 'buckets of tries',
  }
  const kept = (seconds: number) => {
    const names = SWEPT_TABLES.filter((table) => SWEPT[table].kept === seconds).map((table) => LONGER[table])
    return new Intl.ListFormat('en').format(names as string[]).replace(', and ', ' and ')
  }
  const told = `most of them after a minute, ${kept(3600)} after an hour, ${kept(86_400)} after a day.`
  expect(readme.replaceAll('\n', ' ')).toContain(told)
  const soon = SWEPT_TABLES.filter((table) => !(table in LONGER))
  expect(new Set(soon.map((table) => SWEPT[table].kept))).toEqual(new Set([60]))
})

it('signing keys take their steps when it is told', () => {
  const rows = new Map(tableOf(readme, 'State').map(([state, , , ends]) => [state, durations(ends!)]))
  const sum = (state: string) => rows.get(`\`${state}\``)!.reduce((all, seconds) => all + seconds, 0) * 1000
  expect({ published: sum('next'), period: sum('active'), retiring: sum('retiring') }).toEqual({
    published: KEY_TIMES.published,
    period: KEY_TIMES.period,
    retiring: KEY_TIMES.retiring,
  })
})

it('each kind of client gets the defaults that are told', () => {
  const rows = tableOf(readme, '`kind`')
  expect(rows.map(([kind]) => kind)).toEqual(CLIENT_KINDS.map((kind) => `\`${kind}\``))
  for (const [kind, auth, refresh, use] of rows) {
    const redirects = kind === '`service`' ? {} : { redirect_uris: ['https://app.example.com/callback'] }
    const reading = readClientFields({ id: 'a', name: 'A', kind: kind!.replaceAll('`', ''), ...redirects })
    if (!reading.ok) throw new Error(JSON.stringify(reading.faults))
    const { authMethod } = reading.value
    expect([kind, auth, refresh]).toEqual([kind, `\`${authMethod}\``, `\`${reading.value.refresh}\``])
    if (kind !== '`service`')
      expect([kind, use!.startsWith('the token is replaced')]).toEqual([kind, authMethod === 'none'])
  }
})

it('each limit on tries is as told', () => {
  const ACTS = { signIn: 'sign in', setPassword: 'choose a password', setUp: 'first administrator' }
  const limits = Object.entries(LIMITS).flatMap(([act, buckets]) =>
    Object.entries(buckets).map(([bucket, { burst, every }]) => [
      ACTS[act as keyof typeof ACTS],
      bucket,
      `${burst}`,
      `${every} s`,
    ]),
  )
  expect(tableOf(readme, 'Tries at')).toEqual(limits)
})

describe('the public contract of the pages', () => {
  const VIEWS: Record<string, string> = {
    'sign in': 'signIn.eta',
    consent: 'consent.eta',
    'first administrator': 'setup.eta',
    'choose a password': 'setPassword.eta',
    'sign out': 'signOut.eta',
  }
  const rows = tableOf(readme, 'Page')

  it.each(Object.entries(VIEWS))('%s has these fields and buttons', (page, file) => {
    const [, fields, buttons] = rows.find(([name]) => name === page)!
    const view = readDocument(`views/${file}`)
    const ids = [...view.matchAll(/@field', \{ field: \{ id: '(\w+)'/g)].map((match) => match[1]!)
    expect(codeIn(fields!)).toEqual(ids)
    const named = [...view.matchAll(/<button[^>]* name="(\w+)" value="([\w-]+)"/g)].map(
      ([, name, value]) => `${name}="${value}"`,
    )
    expect(codeIn(buttons!).sort()).toEqual(named.sort())
  })

  it('covers every page with a form of ours', () => {
    const others = ['field.eta', 'formPost.eta']
    const withForms = readdirSync(join(ROOT, 'views')).filter((file) =>
      /<button|<input/.test(readDocument(`views/${file}`)),
    )
    expect(withForms.filter((file) => !others.includes(file)).sort()).toEqual(Object.values(VIEWS).sort())
    expect(rows.map(([page]) => page)).toEqual(Object.keys(VIEWS))
  })
})

describe('commands', () => {
  const run = createRun(undefined)
  const commandsIn = (help: string) =>
    [...(/\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(help)?.[1] ?? '').matchAll(/^ {2}([a-z][\w-]*)/gm)]
      .map((match) => match[1]!)
      .filter((name) => name !== 'help')

  it('the README names every command, and no other', async () => {
    const all: string[] = []
    for (const name of commandsIn((await run(['--help'])).out)) {
      const below = commandsIn((await run([name, '--help'])).out)
      all.push(...(below.length > 0 ? below.map((one) => `${name} ${one}`) : [name]))
    }
    const told = tableOf(readme, 'Command').flatMap(([cell]) => codeIn(cell!))
    expect(told.map((text) => text.replace(/^gatehouse /, '').replace(/ [A-Z]+$/, '')).sort()).toEqual(all.sort())
  })

  it('every call of gatehouse in a document is one that there is, with options that there are', async () => {
    const calls = DOCUMENTS.flatMap((path) => {
      const text = readDocument(path)
      const lines = blocksOf(text).filter(({ language }) => language === 'sh' || language === 'text')
      const code = [...codeIn(proseOf(text)), ...lines.flatMap((block) => block.text.split('\n'))]
      return code.flatMap((line) => {
        const [, rest] = /(?:npx --no (?:-- )?gatehouse|bin\/gatehouse\.mjs) (.*)/.exec(line) ?? []
        return rest === undefined
          ? []
          : [
              {
                path,
                words: rest
                  .split(/ {2,}|#/)[0]!
                  .trim()
                  .split(' '),
              },
            ]
      })
    })
    expect(calls.length).toBeGreaterThan(10)
    for (const { path, words } of calls.filter(({ words }) => /^[a-z]/.test(words[0]!))) {
      const names = words.slice(0, ['client', 'resource', 'user', 'keys', 'try'].includes(words[0]!) ? 2 : 1)
      if (names[0] === 'help') continue
      const { out } = await run([...names, '--help'])
      expect([path, out.split('\n')[0]]).toEqual([
        path,
        expect.stringMatching(`^Usage: npx --no gatehouse ${names.join(' ')}\\b`),
      ])
      for (const flag of words.filter((word) => word.startsWith('--')))
        expect([path, words, out]).toEqual([path, words, expect.stringContaining(flag)])
    }
  })
})

/** @returns seconds of each duration in a text */
function durations(text: string): number[] {
  const units: Record<string, number> = { s: 1, min: 60, h: 3600, days: 86_400 }
  return [...text.matchAll(/(\d+) (s|min|h|days)\b/g)].map(([, count, unit]) => Number(count) * units[unit!]!)
}
