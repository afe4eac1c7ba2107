// How passwords are kept and compared: argon2id, the whole password, one spelling of Unicode, and the same work whatever is asked.
import argon2 from 'argon2'
import { createPasswords, LONGEST_PASSWORD } from '../../src/accounts/password.ts'
import type { WorkQueue } from '../../src/accounts/work-queue.ts'

let turns = 0
const queue: WorkQueue = (work) => {
  turns += 1
  return work()
}
const passwords = createPasswords(queue)

/** @returns whether a password is taken where another one was set */
const fits = async (set: string, tried: string) => passwords.verify(await passwords.hash(set), tried)

describe('S-157', () => {
  it('nothing is cut off: twins that differ after 72 bytes, or in the last of all characters, differ', async () => {
    const twin = 'x'.repeat(72)
    expect(await fits(`${twin}a`, `${twin}a`)).toBe(true)
    expect(await fits(`${twin}a`, `${twin}b`)).toBe(false)
    expect(await fits(`${twin}a`, twin)).toBe(false)
    const longest = 'y'.repeat(LONGEST_PASSWORD - 1)
    expect(await fits(`${longest}a`, `${longest}a`)).toBe(true)
    expect(await fits(`${longest}a`, `${longest}b`)).toBe(false)
  })

  it('what is too long is refused, not shortened, at the same price', async () => {
    const longest = 'y'.repeat(LONGEST_PASSWORD)
    const encoded = await passwords.hash(longest)
    turns = 0
    expect(await passwords.verify(encoded, `${longest}y`)).toBe(false)
    expect(turns).toBe(1)
    await expect(passwords.hash(`${longest}y`)).rejects.toThrow(RangeError)
  })

  it.each([
    ['case', 'Lanterns by the gate', 'lanterns by the gate'],
    ['a space at the end', 'lanterns by the gate', 'lanterns by the gate '],
    ['a space at the start', 'lanterns by the gate', ' lanterns by the gate'],
    ['kinds of space', 'lanterns by the gate', 'lanterns by the\u00a0gate'],
    ['a ligature (NFC keeps it, NFKC would not)', '\ufb01ne lanterns', 'fine lanterns'],
    ['full width', '\uff41 lantern', 'a lantern'],
    ['what follows a NUL', 'lanterns\0by the gate', 'lanterns\0by the wall'],
  ])('%s counts', async (_what, set, tried) => {
    expect(await fits(set, set)).toBe(true)
    expect(await fits(set, tried)).toBe(false)
  })

  it.each([
    ['letters with marks', 'caf\u00e9 am Stra\u00dfenrand', 'cafe\u0301 am Stra\u00dfenrand'],
    ['Hangul', '\ud55c\uad6d\uc5b4', '\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165'],
  ])('composed and decomposed, as two keyboards send them, are the same: %s', async (_what, composed, decomposed) => {
    expect(composed).not.toBe(decomposed)
    expect(await fits(composed, decomposed)).toBe(true)
    expect(await fits(decomposed, composed)).toBe(true)
  })

  it('emoji and other scripts work', async () => {
    expect(await fits('🦔🌲 ночной ёж 夜のハリネズミ', '🦔🌲 ночной ёж 夜のハリネズミ')).toBe(true)
    expect(await fits('🦔🌲 ночной ёж 夜のハリネズミ', '🦔🌳 ночной ёж 夜のハリネズミ')).toBe(false)
  })
})

describe('S-158', () => {
  it('the hash is argon2id in PHC format at or above 19 MiB, 2 passes, 1 lane, with a fresh salt', async () => {
    const [one, other] = [await passwords.hash('lanterns'), await passwords.hash('lanterns')]
    expect(one).not.toBe(other)
    const [, id, version, costs, salt, hash] = one.split('$')
    expect([id, version]).toEqual(['argon2id', 'v=19'])
    const { m, t, p } = Object.fromEntries(costs!.split(',').map((cost) => cost.split('=')))
    expect(Number(m)).toBeGreaterThanOrEqual(19 * 1024)
    expect(Number(t)).toBeGreaterThanOrEqual(2)
    expect(Number(p)).toBe(1)
    expect(passwords.isOutdated(one)).toBe(false)
    expect(Buffer.from(salt!, 'base64').length).toBeGreaterThanOrEqual(16)
    expect(Buffer.from(hash!, 'base64').length).toBeGreaterThanOrEqual(32)
  })

  it.each([
    ['less memory', { memoryCost: 8 * 1024, timeCost: 2 }, true],
    ['fewer passes', { memoryCost: 19 * 1024, timeCost: 1 }, true],
    ['another kind', { memoryCost: 19 * 1024, timeCost: 2, type: argon2.argon2i }, true],
    ['the cost of today', { memoryCost: 19 * 1024, timeCost: 2 }, false],
    ['more than today, as after a policy was lowered', { memoryCost: 32 * 1024, timeCost: 3 }, false],
  ] as const)('made with %s: outdated?', async (_what, cost, outdated) => {
    const encoded = await argon2.hash('lanterns', { type: argon2.argon2id, parallelism: 1, ...cost })
    expect(passwords.isOutdated(encoded)).toBe(outdated)
    expect(await passwords.verify(encoded, 'lanterns')).toBe(true)
  })
})

describe('S-159', () => {
  it('where there is no hash, one of the same cost is computed, and nothing fits', async () => {
    const encoded = await passwords.hash('lanterns')
    turns = 0
    for (const password of ['lanterns', '', ' ', 'y'.repeat(LONGEST_PASSWORD + 1)]) {
      expect(await passwords.verify(undefined, password)).toBe(false)
    }
    expect(await passwords.verify(encoded, 'lantern')).toBe(false)
    expect(turns).toBe(5)
  })
})
