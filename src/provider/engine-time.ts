// The engine reads this machine's clock; what is stored goes by the database's, as all nodes do. Between the two every time in what
// the engine stores is moved by as much as the clocks differ: so a code that was made on one node ends after a minute on
// any other, and on a machine whose clock was set meanwhile.

type Payload = Record<string, unknown>

export interface EngineTime {
  /** @returns what the engine hands over, in the database's time */
  toStore<P extends object>(payload: P): P
  /** @returns what is stored, in the time that the engine knows */
  toEngine<P extends object>(payload: P): P
}

/** In seconds since 1970, wherever the engine keeps them. */
const TIMES = ['iat', 'exp', 'iiat', 'loginTs', 'authTime']

/**
 * @param now the time that stores go by
 * @param machine the time that the engine goes by
 */
export function createEngineTime({
  now,
  machine = () => new Date(),
}: {
  now: () => Date
  machine?: () => Date
}): EngineTime {
  let shift = 0
  // In whole seconds, as all of these times, and the same until it is wrong by more than one: what is read and stored again
  // and again must not wander.
  const difference = () => {
    const exact = (now().getTime() - machine().getTime()) / 1000
    if (Math.abs(exact - shift) > 1) shift = Math.round(exact)
    return shift
  }
  return {
    toStore: (payload) => moved(payload, difference()),
    toEngine: (payload) => moved(payload, -difference()),
  }
}

function moved<P extends object>(payload: P, seconds: number): P {
  if (seconds === 0) return payload
  const copy: Payload = { ...(payload as Payload) }
  for (const name of TIMES) if (typeof copy[name] === 'number') copy[name] += seconds
  // An answer that a page gave, on its way to the session.
  const { login, ...rest } = (copy.result ?? {}) as { login?: { ts?: number } }
  if (login?.ts !== undefined) copy.result = { ...rest, login: { ...login, ts: login.ts + seconds } }
  return copy as P
}
