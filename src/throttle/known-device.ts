// A browser that an account has signed in with is known again by a cookie, so that strangers who try passwords cannot keep the
// person out of it. The cookie signs nobody in: it only says from which buckets a try is taken. It ends with the epoch of the account,
// as with a change of the password: whoever knew the old one has no more tries than a stranger.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type Koa from 'koa'

/** of a device's name, and of the proof that we made it for this account */
const BYTES = 16
const YEAR_MS = 365 * 24 * 60 * 60 * 1000

export interface KnownDevices {
  /** @returns the device's name, if this account has signed in with this browser in its present epoch */
  recognise(ctx: Koa.Context, account: string): Promise<string | undefined>
  /** Makes the browser known to this account, and to no other any more. */
  remember(ctx: Koa.Context, account: string): Promise<void>
}

/**
 * @param parts `hmacs` binds a value under the keys of the server (16 bytes each), that of new cookies first; `secure`: cookies
 *   go over https only; `epochOf` is asked for the epoch of an account
 * @returns the cookie's reader and writer; accounts are named by the key of their email
 */
export function createKnownDevices({
  secure,
  hmacs,
  epochOf,
}: {
  secure: boolean
  hmacs: (value: string) => readonly [Buffer, ...Buffer[]]
  epochOf: (account: string) => Promise<string | undefined>
}): KnownDevices {
  const cookieName = secure ? '__Host-gatehouse-device' : 'gatehouse-device'
  const proofsFor = (device: string, account: string, epoch: string) => hmacs(`${device}\0${account}\0${epoch}`)

  const recogniseIn = (ctx: Koa.Context, account: string, epoch: string) => {
    const bytes = read(ctx)
    if (!bytes) return undefined
    const device = bytes.toString('base64url', 0, BYTES)
    const proof = bytes.subarray(BYTES)
    return proofsFor(device, account, epoch).some((good) => timingSafeEqual(good, proof)) ? device : undefined
  }

  const read = (ctx: Koa.Context) => {
    const bytes = Buffer.from(ctx.cookies.get(cookieName, { signed: false }) ?? '', 'base64url')
    return bytes.length === 2 * BYTES ? bytes : undefined
  }

  return {
    async recognise(ctx, account) {
      if (!read(ctx)) return undefined
      // For nobody, the same work: no cookie of ours is made for this epoch.
      return recogniseIn(ctx, account, (await epochOf(account)) ?? 'none')
    },

    async remember(ctx, account) {
      const epoch = await epochOf(account)
      if (epoch === undefined) return
      const device = recogniseIn(ctx, account, epoch) ?? randomBytes(BYTES).toString('base64url')
      const value = Buffer.concat([Buffer.from(device, 'base64url'), proofsFor(device, account, epoch)[0]])
      ctx.cookies.set(cookieName, value.toString('base64url'), {
        signed: false,
        httpOnly: true,
        sameSite: 'lax',
        secure,
        path: '/',
        overwrite: true,
        maxAge: YEAR_MS,
      })
    },
  }
}
