// The first step of every stop: to say no, and to go on until who watches has heard it.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Watchers } from './watchers.ts'

/** Milliseconds in which a load balancer turns away after the last time it saw red. */
const TURNING_AWAY = 200
const POLL = 20

/**
 * Turns readiness red, and waits for who watches it: then nobody sends requests any more.
 * @param nodes the process, or all processes, behind one port
 */
export async function turnAway(watchers: Watchers, nodes: { turnRed(): void; shed(): void }): Promise<void> {
  watchers.turnRed()
  nodes.turnRed()
  if (!watchers.watching()) return
  nodes.shed()
  while (watchers.watching()) await sleep(POLL)
  await sleep(TURNING_AWAY)
}
