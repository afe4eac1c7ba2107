// A browser that an account has signed in with is known again by a cookie, so that strangers who try passwords cannot keep the
// person out of it. The cookie signs nobody in: it only says from which bucket a try is taken.
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type Koa from 'koa'

/** of a device's name, and of the proof that we made it for this account */
const BYTES = 16
const YEAR_MS = 365 * 24 * 60 * 60 * 1000

export interface KnownDevices {
  /** @returns the device's name, if this account has signed in with this browser */
  recognise(ctx: Koa.Context, account: string): string | undefined
  /** Makes the browser known to this account, and to no other any more. */
  remember(ctx: Koa.Context, account: string): void
}

/**
 * @param parts `hmacs` binds a value under the keys of the server (16 bytes each), that of new cookies first; `secure`: cookies
 *   go over https only
 * @returns the cookie's reader and writer; accounts are named by the key of their email
 */
export function createKnownDevices({
  secure,
  hmacs,
}: {
  secure: boolean
  hmacs: (value: string) => readonly [Buffer, ...Buffer[]]
}): KnownDevices {
  const cookieName = secure ? '__Host-gatehouse-device' : 'gatehouse-device'
  const proofsFor = (device: string, account: string) => hmacs(`${device}\0${account}`)

  const recognise = (ctx: Koa.Context, account: string) => {
    const bytes = Buffer.from(ctx.cookies.get(cookieName, { signed: false }) ?? '', 'base64url')
    if (bytes.length !== 2 * BYTES) return undefined
    const device = bytes.toString('base64url', 0, BYTES)
    const proof = bytes.subarray(BYTES)
    return proofsFor(device, account).some((good) => timingSafeEqual(good, proof)) ? device : undefined
  }

  return {
    recognise,

    remember(ctx, account) {
      const device = recognise(ctx, account) ?? randomBytes(BYTES).toString('base64url')
      const value = Buffer.concat([Buffer.from(device, 'base64url'), proofsFor(device, account)[0]])
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
