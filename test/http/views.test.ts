import { readdirSync, readFileSync } from 'node:fs'
import { load } from 'cheerio'
import { type Pages, renderPage, WRONG_CREDENTIALS } from '../../src/http/views.ts'
import { pageSamples as samples } from '../helpers/page-samples.ts'

type Name = keyof Pages
const names = Object.keys(samples) as Name[]
const render = <K extends Name>(name: K, changes: Partial<Pages[K]> = {}) =>
  load(renderPage(name, { ...samples[name], ...changes }))

const HOSTILE = '"><svg onload=1>'
// words that the templates compare with, and the one value that is HTML by contract
const NOT_TEXT = ['risk', 'purpose', 'formHtml']

/** The same data with hostile text in every string, numbered so that each can be found again; addresses keep their start. */
function poison(value: unknown, planted: string[], key = ''): unknown {
  if (typeof value === 'string') {
    if (NOT_TEXT.includes(key)) return value
    const text = `${HOSTILE}<b id=x${planted.length}x>`
    planted.push(text)
    return (/^\/|^https?:/.test(value) ? `${value.replace(/\/$/, '')}/` : '') + text
  }
  if (Array.isArray(value)) return value.map((item) => poison(item, planted))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, poison(item, planted, name)]))
  }
  return value
}

describe('renderPage', () => {
  it.each(names)('S-010 %s shows hostile text in every place, and only as text', (name) => {
    const planted: string[] = []
    const $ = load(renderPage(name, poison(samples[name], planted) as Pages[typeof name]))
    expect($('b, script, style, [style], [onload], svg:not(.mark, .sign)').length).toBe(0)
    const visible = [
      $.root().text(),
      ...$('*')
        .toArray()
        .flatMap((element) => ('attribs' in element ? Object.values(element.attribs) : [])),
    ].join('\n')
    for (const text of planted) expect(visible).toContain(text)
  })

  it('S-010 the names of form_post fields are text, too', () => {
    const $ = render('formPost', { fields: { [HOSTILE]: 'x' } })
    expect($('input').attr('name')).toBe(HOSTILE)
    expect($('form').children()).toHaveLength(2)
  })

  it('S-010 takes nothing raw but the form of the engine', () => {
    const folder = new URL('../../views/', import.meta.url)
    const raw = readdirSync(folder)
      .flatMap((file) => [...readFileSync(new URL(file, folder), 'utf8').matchAll(/<%[-_]?~\s*([\w.]+)/g)])
      .map((match) => match[1])
    expect([...new Set(raw)].sort()).toEqual(['include', 'it.body', 'it.formHtml'])
  })

  it.each(names)('S-005 %s needs no script, style or event attribute of its own', (name) => {
    const $ = render(name)
    expect($('script, style, [style], iframe, object, embed, base, meta[http-equiv]').length).toBe(0)
    const attributes = $('*')
      .toArray()
      .flatMap((element) => ('attribs' in element ? Object.keys(element.attribs) : []))
    expect(attributes.filter((attribute) => attribute.startsWith('on'))).toEqual([])
    expect($('html').attr('lang')).toBe('en')
    expect($('meta[name=robots]').attr('content')).toBe('noindex')
    expect($('main h1').length).toBe(1)
    expect($('title').text()).not.toBe('')
    expect($('[autofocus]').length).toBeLessThanOrEqual(1)
  })

  it.each([
    'javascript:alert(1)',
    ' java\tscript:alert(1)',
    'data:text/html,x',
    'blob:x',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    'relative',
    '',
  ])('S-010 never leads to %j', (url) => {
    expect(() => render('formPost', { action: url })).toThrow('Not an address')
    expect(() => render('signIn', { action: url })).toThrow('Not an address')
    expect(render('error', { restartUrl: url })('a').length).toBe(0)
    expect(render('expired', { restartUrl: url })('a').length).toBe(0)
    expect(render('done', { next: { label: 'Go', url } })('main a').length).toBe(0)
  })

  it('S-010 leads back to an app by the scheme of its own', () => {
    expect(render('formPost', { action: 'com.example.app:/cb' })('form').attr('action')).toBe('com.example.app:/cb')
  })
})

// Scripts and password managers find these by name (SECURITY D9): a change here is a breaking change.
describe('the names of fields and buttons', () => {
  const controls = (name: Name) => {
    const $ = render(name)
    return $('input, button')
      .toArray()
      .map((element) => $(element))
      .filter((control) => !control.hasClass('unseen'))
      .map((control) =>
        control.is('button')
          ? `button ${control.attr('name') ?? ''}=${control.attr('value') ?? ''} "${control.text()}"`
          : `${control.attr('type')} ${control.attr('name')}`,
      )
  }

  it.each<[Name, string[]]>([
    [
      'signIn',
      [
        'hidden csrf',
        'email email',
        'password password',
        'button action=sign-in "Sign in"',
        'button action=cancel "Cancel"',
      ],
    ],
    [
      'consent',
      [
        'hidden csrf',
        'button action=switch "Switch account"',
        'hidden csrf',
        'button action=allow "Allow access"',
        'button action=deny "Cancel"',
      ],
    ],
    ['signOut', ['hidden xsrf', 'button logout=yes "Sign out"', 'button = "Stay signed in"']],
    ['formPost', ['hidden code', 'hidden state', 'hidden iss', 'button = "Continue"']],
    [
      'setup',
      [
        'hidden csrf',
        'hidden token',
        'email email',
        'text name',
        'password password',
        'button action=create "Create administrator"',
      ],
    ],
    ['setPassword', ['hidden csrf', 'hidden token', 'password password', 'button action=set-password "Save password"']],
  ])('of %s', (name, expected) => {
    expect(controls(name)).toEqual(expected)
    const $ = render(name)
    $('form').each((_, form) => expect($(form).attr('method')).toBe('post'))
    $('button').each((_, button) => expect($(button).attr('type')).toBe('submit'))
    $('input:not([type=hidden]):not(.unseen)').each((_, input) => {
      expect($(input).attr('id')).toBe($(input).attr('name'))
      expect($(`label[for=${$(input).attr('id')}]`).length).toBe(1)
    })
  })

  it('S-164 every form that we answer ourselves carries its token byte for byte', () => {
    const csrf = 'a\u202eb\u200b &"c'
    for (const name of ['signIn', 'consent', 'setup', 'setPassword'] as const) {
      const $ = render(name, { csrf })
      $('form').each((_, form) => expect($(form).find('input[name=csrf]').attr('value')).toBe(csrf))
    }
  })

  it('S-165 tells password managers what is what', () => {
    const of = (name: Name, field: string) => render(name)(`input[name=${field}]`)
    expect(of('signIn', 'email').attr()).toMatchObject({ autocomplete: 'username', type: 'email', inputmode: 'email' })
    expect(of('signIn', 'password').attr()).toMatchObject({ autocomplete: 'current-password', type: 'password' })
    for (const name of ['setup', 'setPassword'] as const) {
      expect(of(name, 'password').attr()).toMatchObject({ autocomplete: 'new-password', minlength: '15' })
      expect(of(name, 'password').attr('maxlength')).toBeUndefined()
    }
    expect(render('setPassword')('input[autocomplete=username]').attr('value')).toBe(samples.setPassword.email)
  })

  it('S-165 no password is ever written into a page', () => {
    for (const name of ['signIn', 'setup', 'setPassword'] as const) {
      expect(render(name)('input[type=password]').attr('value')).toBeUndefined()
    }
  })
})

describe('what the pages say', () => {
  it('sign-in names the app, keeps the email, and has one message that takes the focus', () => {
    const $ = render('signIn', { error: WRONG_CREDENTIALS, switching: false })
    expect($('h1').text()).toBe('Sign in')
    expect($('hgroup p').text()).toBe('to continue to Corner Shop')
    expect($('input[name=email]').attr('value')).toBe('ada@example.com')
    const problem = $('[role=alert]')
    expect(problem.text().trim()).toBe(WRONG_CREDENTIALS)
    expect(problem.attr()).toMatchObject({ tabindex: '-1', autofocus: '' })
    expect(problem.find('a').attr('href')).toBe('#email')
    expect($('#password').attr()).toMatchObject({ 'aria-invalid': 'true', 'aria-describedby': 'problem' })
    expect($('button[value=cancel]').attr()).toMatchObject({ formnovalidate: '', formaction: '/interaction/u1/abort' })
  })

  it('a problem of set-up stands in the summary and beside its field', () => {
    const $ = render('setup', { errors: { password: 'Use at least 15 characters.' } })
    expect($('[role=alert] a').attr('href')).toBe('#password')
    expect($('#password').attr('aria-describedby')).toBe('password-hint password-error')
    expect($('#password-error').text()).toBe('Use at least 15 characters.')
    expect($('#email').attr('aria-invalid')).toBeUndefined()
  })

  it('S-189 consent shows app, who registered it, redirect host, account, resource, permissions in words, lifetime, return', () => {
    const text = render('consent')('main').text().replace(/\s+/g, ' ')
    for (const fact of [
      'Corner Shop asks for access to your account',
      'From shop.example.com, registered by the administrator',
      'Signed in as ada@example.com',
      'Take care with these in Orders Place and cancel orders',
      'Everyday access in Orders See your orders',
      'Basics in Your profile See your name See your email address',
      'Stay connected:',
      'It ends by itself after 30 days without use.',
      'Then you return to https://shop.example.com',
    ]) {
      expect(text).toContain(fact)
    }
  })

  it('S-189 consent puts the gravest permissions first, whatever order they come in', () => {
    const $ = render('consent')
    expect(
      $('h3')
        .toArray()
        .map((heading) => $(heading).text().split(' in ')[0]),
    ).toEqual(['Take care with these', 'Everyday access', 'Basics'])
  })

  it('S-190 consent: the two answers weigh the same, and nothing is focused or chosen beforehand', () => {
    const $ = render('consent')
    expect($('button[value=allow]').attr('class')).toBe($('button[value=deny]').attr('class'))
    expect($('[autofocus]').length).toBe(0)
  })

  it('says where an app on the own device is', () => {
    for (const appHost of ['localhost:8080', '127.0.0.1', '[::1]:99', 'com.example.app:']) {
      expect(render('consent', { appHost })('hgroup').text()).toContain(`An app on this device, at ${appHost}`)
    }
    expect(render('consent', { appHost: 'localhost.evil.example' })('hgroup').text()).toContain('From localhost.evil')
  })

  it('S-154 an app cannot turn our words round, fill the page or stand there without a name', () => {
    const heading = (appName: string) => render('consent', { appName })('h1')
    expect(heading('Sh\u202eop').text()).toBe('Shop asks for access to your account')
    expect(heading('Sh\u202eop').find('bdi').text()).toBe('Shop')
    expect(heading('x'.repeat(9000)).text().length).toBeLessThan(130)
    expect(heading('\u200b \u3164').text()).toBe('An app without a name asks for access to your account')
  })

  it('an error says what happened, what to do, and what to quote', () => {
    const text = render('error')('main').text()
    for (const part of [samples.error.what, samples.error.whatToDo, samples.error.requestId])
      expect(text).toContain(part)
  })

  it('form_post hands its values on unchanged', () => {
    const value = 'a\u202e b  &amp;\t<>"\''
    expect(render('formPost', { fields: { state: value } })('input[name=state]').attr('value')).toBe(value)
  })
})
