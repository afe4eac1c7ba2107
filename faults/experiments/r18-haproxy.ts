import { restartBehind } from '../behind.ts'
import type { Experiment } from '../experiment.ts'
import { startHaproxy } from '../front.ts'

/** Milliseconds, as the README says: two checks, a second apart, and one more. */
const WAIT = 3000

export const r18Haproxy: Experiment = {
  id: 'R-18-HAPROXY',
  title: 'rolling restarts under load behind HAProxy',
  size: { full: "2 processes with the README's settings, with 1 and with 2 workers each, restarted in turn for 60 s" },
  target: '0 failed requests',
  needs: ['haproxy', 'openssl'],
  run: (bench) => restartBehind(bench, startHaproxy, WAIT),
}
