// The pages that people see: what each needs to know (`Pages`), and how it becomes HTML. The templates in `views/` are read
// once at start. Every value is hostile text until it is escaped here; names of fields and buttons are a public contract (D9).
import { readdirSync, readFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import { Eta } from 'eta'
import { isLoopback } from '../vocabulary/issuer.ts'
import { stylesheetPath } from './assets.ts'
import { plainText } from './plain-text.ts'

/** The one message for an unknown email and for a wrong password. */
export const WRONG_CREDENTIALS = 'The email or the password is not right.'

/** A link in words. */
export interface PageLink {
  readonly label: string
  readonly url: string
}

/** How much harm a permission could do, as the operator said. */
export type PageRisk = 'low' | 'normal' | 'high'

/** What one resource is asked for, in the words of its operator. */
export interface PermissionGroup {
  readonly resourceName: string
  readonly items: readonly { readonly text: string; readonly risk: PageRisk }[]
}

/** Every page and the data that it is made of. `action` is where a form is posted to; `csrf` goes into its hidden field. */
export interface Pages {
  /** Fields `email`, `password`, `csrf`; buttons `action=sign-in` and `action=cancel`. */
  signIn: {
    readonly appName: string
    readonly csrf: string
    readonly action: string
    /** where Cancel is posted to, if not to `action` */
    readonly cancelAction?: string
    readonly email?: string
    /** what was wrong with the last try: `WRONG_CREDENTIALS`, or another one sentence */
    readonly error?: string
    /** instead of `error`: when the next try may be made; nothing is wrong with the fields then */
    readonly throttled?: string
    /** true when somebody is signed in already and wants to be somebody else */
    readonly switching?: boolean
  }
  /** Buttons `action=allow` and `action=deny`; in a form of its own `action=switch`. */
  consent: {
    readonly appName: string
    /** host of the redirect URI: the one thing about the app that cannot be made up */
    readonly appHost: string
    readonly accountEmail: string
    readonly switchAction: string
    readonly groups: readonly PermissionGroup[]
    /** true when the app keeps its access while the person is away */
    readonly staysConnected: boolean
    /** how long the access lasts and what ends it, as one or two sentences */
    readonly lasts: string
    /** origin or host that the browser goes to after the choice */
    readonly returnsTo: string
    readonly csrf: string
    readonly action: string
  }
  error: {
    readonly title: string
    readonly what: string
    readonly whatToDo: string
    readonly requestId: string
    readonly restartUrl?: string
    /** the machine's word for it, such as `invalid_request` */
    readonly code?: string
  }
  /** The sign-in or consent that this page belonged to is over or too old. */
  expired: {
    readonly appName?: string
    readonly restartUrl?: string
    readonly requestId?: string
  }
  /** Button `logout=yes`; the other button sends no `logout`. */
  signOut: {
    /** the engine's form with the id `op.logoutForm`: the only HTML that is taken as it comes */
    readonly formHtml: string
    readonly appName?: string
  }
  signedOut: {
    readonly appName?: string
  }
  /** The answer of `response_mode=form_post`: the fields travel to `action` unchanged, at the press of a button. */
  formPost: {
    readonly action: string
    /** true when the form leads to ourselves, as on the way out of one account and into another */
    readonly own?: boolean
    readonly fields: Readonly<Record<string, string>>
  }
  landing: {
    readonly issuer: string
    readonly version: string
    readonly urls: readonly PageLink[]
    readonly commands: readonly { readonly command: string; readonly what: string }[]
    /** the demo API behind the local gateway */
    readonly demo?: {
      readonly gateway: string
      readonly routes: readonly { readonly route: string; readonly needs: string }[]
    }
    readonly adminConfigured: boolean
  }
  /** Fields `email`, `name`, `password`, `token`, `csrf`; button `action=create`. */
  setup: {
    readonly token: string
    readonly csrf: string
    readonly action: string
    readonly email?: string
    readonly name?: string
    readonly errors?: { readonly email?: string; readonly name?: string; readonly password?: string }
    readonly throttled?: string
  }
  /** Fields `password`, `token`, `csrf`; button `action=set-password`. */
  setPassword: {
    readonly email: string
    readonly token: string
    readonly csrf: string
    readonly action: string
    readonly error?: string
    readonly throttled?: string
  }
  /** A one-time link that was used already or is too old. */
  linkExpired: {
    readonly purpose: 'setup' | 'set-password'
  }
  /** Something is done: the last page of set-up and set-password, and whatever else needs one. */
  done: {
    readonly title: string
    readonly what: string
    readonly next?: PageLink
  }
}

const NAME_LENGTH = 80
const NAMELESS = 'An app without a name'

/** A value that must reach the browser byte for byte (tokens, form values): escaped, but not cleaned. */
class Exact {
  readonly value: string
  constructor(value: string) {
    this.value = value
  }
}

const eta = new Eta({ autoEscape: true, escapeFunction })
loadTemplates(join(import.meta.dirname, '../../views'))

/**
 * @param name which page
 * @param data what it says
 * @returns a whole HTML document; send it with `pageHeaders`
 * @throws Error when an address in `data` could run a script (`javascript:`, `data:`): nobody should have accepted it
 */
export function renderPage<K extends keyof Pages>(name: K, data: Pages[K]): string {
  return eta.render(`@${name}`, { ...data, ...helpers })
}

const helpers = {
  stylesheetPath,
  /** for values that travel back to us or on to the app */
  exact: (value: string) => new Exact(value),
  /** an app's name, short enough for a heading */
  appLabel: (name: string) => plainText(name, NAME_LENGTH) || NAMELESS,
  address,
  link: (url?: string) => (url !== undefined && leadsSomewhere(url) ? new Exact(url) : undefined),
  /** true for the host of a loopback redirect, and for an app's own scheme */
  onDevice: (host: string) =>
    host.endsWith(':') || (URL.canParse(`http://${host}`) && isLoopback(new URL(`http://${host}`))),
  hostOf: (url: string) => (URL.canParse(url) ? new URL(url).host || new URL(url).protocol : url),
  permissionBlocks,
}

function loadTemplates(folder: string): void {
  for (const file of readdirSync(folder)) {
    const { name, ext } = parse(file)
    if (ext === '.eta') eta.loadTemplate(`@${name}`, readFileSync(join(folder, file), 'utf8'))
  }
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeFunction(value: unknown): string {
  const text = value instanceof Exact ? value.value : plainText(String(value ?? ''))
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}

/** True for a path of ours, a web address, and an app's own scheme (RFC 8252 section 7.1: a domain in reverse, so with a dot). */
function leadsSomewhere(url: string): boolean {
  // Resolved as a browser does it, which skips tabs and turns backslashes: `/<tab>/evil.example` is another host.
  if (!URL.canParse(url)) return url.startsWith('/') && URL.parse(url, 'http://here.invalid')?.host === 'here.invalid'
  const scheme = new URL(url).protocol
  return scheme === 'https:' || scheme === 'http:' || scheme.includes('.')
}

function address(url: string): Exact {
  if (!leadsSomewhere(url)) throw new Error(`Not an address that a page may lead to: ${url}`)
  return new Exact(url)
}

/** The same permissions by what they can do, the gravest first, and by resource where there are several. */
function permissionBlocks(groups: readonly PermissionGroup[]) {
  const levels = [
    { risk: 'high', heading: 'Take care with these' },
    { risk: 'normal', heading: 'Everyday access' },
    { risk: 'low', heading: 'Basics' },
  ] as const
  return levels
    .flatMap((level) =>
      groups.map(({ resourceName, items }) => ({
        ...level,
        resourceName,
        items: items.filter(({ risk }) => risk === level.risk),
      })),
    )
    .filter(({ items }) => items.length > 0)
}
