import { restartBehind } from '../behind.ts'
import type { Experiment } from '../experiment.ts'
import { startNginx } from '../front.ts'

export const r18Nginx: Experiment = {
  id: 'R-18-NGINX',
  title: 'rolling restarts under load behind nginx',
  size: { full: "2 processes with the README's settings, with 1 and with 2 workers each, restarted in turn for 60 s" },
  target: '0 failed requests',
  needs: ['nginx', 'openssl'],
  run: (bench) => restartBehind(bench, startNginx, 0),
}
