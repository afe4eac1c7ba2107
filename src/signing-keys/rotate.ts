// Moves signing keys along: on schedule, by an operator's wish, and in an emergency. Every change is made under one lock,
// audited by the same commit, and looks at the rows again once it holds the lock.
import { once } from 'node:events'
import type { Audit } from '../audit/entry.ts'
import type { UnitOfWork } from '../db/unit-of-work.ts'
import { ensureSigningKeys } from './ensure.ts'
import { type FreshKey, type KeyRecord, SIGNING_ALGORITHMS, type SigningAlgorithm } from './key.ts'
import { makeSigningKey } from './make.ts'
import { goesFrom, nextStep, signsFrom, successorOf } from './next-step.ts'
import type { SigningKeyStore } from './store.ts'
import { type KeyTimes, standbyCount } from './times.ts'

export interface RotationParts {
  readonly unit: UnitOfWork
  readonly store: SigningKeyStore
  readonly audit: Audit
  readonly now: () => Date
  readonly times: KeyTimes
  /** @returns the algorithms that something is signed with */
  readonly algorithmsInUse: () => Promise<ReadonlySet<string>>
  /** Notes in the one log that all a key signed has ended; part of the same unit of work. */
  readonly endKey: (kid: string) => Promise<unknown>
  readonly make?: (alg: SigningAlgorithm, createdAt: Date) => Promise<FreshKey>
}

/** One change of state, as the log tells it. */
export interface KeyStep {
  readonly step: 'published' | 'activated' | 'retired' | 'removed'
  readonly alg: SigningAlgorithm
  readonly kid: string
}

export type Rotated =
  | { readonly ok: true; readonly steps: readonly KeyStep[] }
  | { readonly ok: false; readonly waiting: readonly { alg: SigningAlgorithm; kid: string; from: Date }[] }

export type Retired =
  | { readonly ok: true; readonly alg: SigningAlgorithm; readonly successor?: string }
  | { readonly ok: false; readonly reason: 'unknown' | 'gone' | 'signs' | 'stands-by' | 'last' }
  | { readonly ok: false; readonly reason: 'too-early'; readonly from: Date }

export interface KeyRotation {
  /**
   * Does whatever is due, and makes keys that stand by where they are missing. Several processes may call it at once.
   * @param signal gives up before the next change
   */
  step(signal?: AbortSignal): Promise<readonly KeyStep[]>
  /** Activates the successors of these algorithms now: all of them, or none when one is not published long enough. */
  rotate(algs: readonly SigningAlgorithm[], actor: string): Promise<Rotated>
  /**
   * Takes a retired key away when its time is over.
   * @param emergency takes any key away at once: its tokens fail, and a published successor signs from now on
   */
  retire(kid: string, emergency: boolean, actor: string): Promise<Retired>
}

/** @returns the moves of signing keys */
export function createKeyRotation(parts: RotationParts): KeyRotation {
  const { unit, store, audit, now, times } = parts
  const locked = <T>(work: (keys: readonly KeyRecord[]) => Promise<T>) =>
    unit.run(async () => {
      await store.lock()
      return work(await store.records())
    })
  const publishAll = async (algs: readonly SigningAlgorithm[], actor: string, signal?: AbortSignal) =>
    (await Promise.all(algs.map((alg) => publish(parts, alg, actor, signal)))).flat()
  return {
    async step(signal) {
      await ensureSigningKeys(parts)
      const moved = await moveDue(parts)
      return [...moved, ...(await publishAll(SIGNING_ALGORITHMS, 'server', signal))]
    },

    async rotate(algs, actor) {
      // Without a successor there is nothing to activate; it is published now, for the next time. Somebody else may take it
      // before we hold the lock: then once more.
      let rotated: Rotated | undefined
      while (!rotated) {
        await publishAll(algs, actor)
        rotated = await locked((keys) => takeOverAll(parts, keys, algs, actor))
      }
      if (rotated.ok) await publishAll(algs, actor)
      return rotated
    },

    async retire(kid, emergency, actor) {
      const retired = await locked(async (keys): Promise<Retired> => {
        const key = keys.find((one) => one.kid === kid)
        if (!key) return { ok: false, reason: 'unknown' }
        if (key.state === 'gone') return { ok: false, reason: 'gone' }
        if (emergency) return removeAtOnce(parts, keys, key, actor)
        if (key.state === 'active') return { ok: false, reason: 'signs' }
        if (key.state === 'next') return { ok: false, reason: 'stands-by' }
        const from = goesFrom(key, times)
        if (from > now()) return { ok: false, reason: 'too-early', from }
        if (await wouldBeLast(parts, keys, key)) return { ok: false, reason: 'last' }
        await store.remove(kid, now())
        await audit({ kind: 'key.removed', actor, subject: kid, detail: { alg: key.alg } })
        return { ok: true, alg: key.alg }
      })
      if (retired.ok && emergency) await publish(parts, retired.alg, actor)
      return retired
    },
  }
}

/** Activations and removals whose time has come. Of several processes at it, one does it and the others pass. */
async function moveDue(parts: RotationParts): Promise<readonly KeyStep[]> {
  const { unit, store, audit, now, times } = parts
  const due = (keys: readonly KeyRecord[]) => {
    const time = now()
    return keys.flatMap((key) => {
      const next = nextStep(key, keys, times)
      return next && next.step !== 'retire' && next.at <= time ? [{ ...next, key }] : []
    })
  }
  if (due(await store.records()).length === 0) return []
  return unit.run(async () => {
    if (!(await store.tryLock())) return []
    const keys = await store.records()
    const steps: KeyStep[] = []
    for (const { step, key } of due(keys)) {
      const { alg, kid } = key
      if (step === 'activate') steps.push(...(await takeOver(parts, keys, alg, kid, 'server')))
      else if (!(await wouldBeLast(parts, keys, key))) {
        await store.remove(kid, now())
        await audit({ kind: 'key.removed', actor: 'server', subject: kid, detail: { alg } })
        steps.push({ step: 'removed', alg, kid })
      }
    }
    return steps
  })
}

/** @returns undefined when a successor is missing */
async function takeOverAll(
  parts: RotationParts,
  keys: readonly KeyRecord[],
  algs: readonly SigningAlgorithm[],
  actor: string,
): Promise<Rotated | undefined> {
  const successors = algs.map((alg) => successorOf(keys, alg)).filter((key) => key !== undefined)
  if (successors.length < algs.length) return undefined
  const ready = successors.map((key) => ({ alg: key.alg, kid: key.kid, from: signsFrom(key, parts.times) }))
  const waiting = ready.filter(({ from }) => from > parts.now())
  if (waiting.length > 0) return { ok: false, waiting }
  const steps: KeyStep[] = []
  for (const { kid, alg } of ready) steps.push(...(await takeOver(parts, keys, alg, kid, actor)))
  return { ok: true, steps }
}

/** The active key retires, its published successor signs. */
async function takeOver(
  { store, audit, now }: RotationParts,
  keys: readonly KeyRecord[],
  alg: SigningAlgorithm,
  kid: string,
  actor: string,
): Promise<KeyStep[]> {
  const steps: KeyStep[] = []
  const before = keys.find((key) => key.alg === alg && key.state === 'active')
  if (before) {
    await store.retire(before.kid, now())
    await audit({ kind: 'key.retired', actor, subject: before.kid, detail: { alg, successor: kid } })
    steps.push({ step: 'retired', alg, kid: before.kid })
  }
  await store.activate(kid, now())
  await audit({ kind: 'key.activated', actor, subject: kid, detail: { alg } })
  return [...steps, { step: 'activated', alg, kid }]
}

async function removeAtOnce(
  parts: RotationParts,
  keys: readonly KeyRecord[],
  key: KeyRecord,
  actor: string,
): Promise<Retired> {
  const { store, audit, now, endKey } = parts
  const { kid, alg, state } = key
  const successor = state === 'active' ? successorOf(keys, alg) : undefined
  if (!successor && (await wouldBeLast(parts, keys, key))) return { ok: false, reason: 'last' }
  await store.remove(kid, now())
  await endKey(kid)
  await audit({ kind: 'key.compromised', actor, subject: kid, detail: { alg, state } })
  if (!successor) return { ok: true, alg }
  await store.activate(successor.kid, now())
  await audit({ kind: 'key.activated', actor, subject: successor.kid, detail: { alg } })
  return { ok: true, alg, successor: successor.kid }
}

async function wouldBeLast(
  { algorithmsInUse }: RotationParts,
  keys: readonly KeyRecord[],
  { kid, alg }: KeyRecord,
): Promise<boolean> {
  const signs = keys.some((other) => other.alg === alg && other.state === 'active' && other.kid !== kid)
  return !signs && (await algorithmsInUse()).has(alg)
}

/** Makes and publishes the keys that should stand by and do not. */
async function publish(
  { unit, store, audit, now, times, make = makeSigningKey }: RotationParts,
  alg: SigningAlgorithm,
  actor: string,
  signal?: AbortSignal,
): Promise<KeyStep[]> {
  const missing = async () => {
    const standing = (await store.records()).filter((key) => key.alg === alg && key.state === 'next').length
    return Math.max(0, standbyCount(times) - standing)
  }
  const count = await missing()
  if (count === 0 || signal?.aborted) return []
  // Made before the lock is taken, as at first start. Whoever stops does not wait for it.
  const making = Promise.all(Array.from({ length: count }, () => make(alg, now())))
  const made = await (signal ? Promise.race([making, once(signal, 'abort').then(() => [])]) : making)
  if (made.length === 0) return []
  return unit.run(async () => {
    await store.lock()
    const steps: KeyStep[] = []
    for (const { kid, ...key } of made.slice(0, await missing())) {
      await store.insert({ kid, ...key }, 'next', now())
      await audit({ kind: 'key.published', actor, subject: kid, detail: { alg } })
      steps.push({ step: 'published', alg, kid })
    }
    return steps
  })
}
