// One believable example of every page, for the tests that look at pages.
import type { Pages } from '../../src/http/views.ts'

/** `throttled` takes the place of what is wrong with the fields, so it has states of its own where pages are looked at. */
export const pageSamples: { readonly [K in keyof Pages]: Required<Omit<Pages[K], 'throttled'>> } = {
  signIn: {
    appName: 'Corner Shop',
    csrf: 'c-4f1d',
    action: '/interaction/u1/login',
    cancelAction: '/interaction/u1/abort',
    email: 'ada@example.com',
    error: 'The email or the password is not right.',
    switching: true,
  },
  consent: {
    appName: 'Corner Shop',
    appHost: 'shop.example.com',
    accountEmail: 'ada@example.com',
    switchAction: '/interaction/u1/switch',
    groups: [
      {
        resourceName: 'Your profile',
        items: [
          { text: 'See your name', risk: 'low' },
          { text: 'See your email address', risk: 'low' },
        ],
      },
      {
        resourceName: 'Orders',
        items: [
          { text: 'See your orders', risk: 'normal' },
          { text: 'Place and cancel orders', risk: 'high' },
        ],
      },
    ],
    staysConnected: true,
    lasts: 'It ends by itself after 30 days without use.',
    returnsTo: 'https://shop.example.com',
    csrf: 'c-4f1d',
    action: '/interaction/u1/consent',
  },
  error: {
    title: 'This sign-in cannot start',
    what: 'The app sent an address to return to that is not registered for it.',
    whatToDo: 'Go back to the app and try again. If it happens again, tell the people who run the app.',
    requestId: '01JDF6Q7T9M2K4',
    restartUrl: 'https://shop.example.com/sign-in',
    code: 'invalid_redirect_uri',
  },
  expired: { appName: 'Corner Shop', restartUrl: 'https://shop.example.com/sign-in', requestId: '01JDF6Q7T9M2K4' },
  signOut: {
    formHtml:
      '<form id="op.logoutForm" method="post" action="http://localhost:3000/logout/confirm"><input type="hidden" name="xsrf" value="x1"/></form>',
    appName: 'Corner Shop',
  },
  signedOut: { appName: 'Corner Shop' },
  formPost: {
    own: false,
    action: 'https://shop.example.com/callback',
    fields: { code: 'gth_ac_1', state: 'a\u202eb', iss: 'http://localhost:3000' },
  },
  landing: {
    issuer: 'http://localhost:3000',
    version: '0.1.0',
    urls: [
      { label: 'Issuer', url: 'http://localhost:3000' },
      { label: 'Discovery', url: 'http://localhost:3000/.well-known/openid-configuration' },
      { label: 'Signing keys', url: 'http://localhost:3000/jwks' },
      { label: 'Local gateway', url: 'http://localhost:3001' },
    ],
    commands: [
      { command: 'npx --no gatehouse try m2m', what: 'A service gets a token and calls the demo API with it.' },
      {
        command: 'npx --no gatehouse try login',
        what: 'A person signs in to an app, step by step, with the curl for each step.',
      },
      { command: 'npx --no gatehouse status', what: 'What runs where, and whether it is well.' },
    ],
    demo: {
      gateway: 'http://localhost:3001',
      routes: [
        { route: 'GET /orders', needs: 'orders:read' },
        { route: 'POST /orders', needs: 'orders:write' },
      ],
    },
    adminConfigured: false,
  },
  setup: {
    token: 't-1',
    csrf: 'c-4f1d',
    action: '/admin/setup',
    email: 'ada@example.com',
    name: 'Ada Lovelace',
    errors: {
      email: 'Enter an email address, such as ada@example.com.',
      name: 'Enter your name.',
      password: 'Use at least 15 characters.',
    },
  },
  setPassword: {
    email: 'ada@example.com',
    token: 't-1',
    csrf: 'c-4f1d',
    action: '/set-password',
    error: 'Use at least 15 characters.',
  },
  linkExpired: { purpose: 'setup' },
  done: {
    title: 'Your password is set',
    what: 'Sign in with it from the app that you want to use.',
    next: { label: 'Go to the start page', url: '/' },
  },
}
