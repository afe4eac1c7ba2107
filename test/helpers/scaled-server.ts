// A server as an operator runs it, but for one thing: its signing keys take their steps in times of its own, so that an
// experiment sees years of rotation in a minute. A program of its own; SCALED_KEY_TIMES has the times as JSON.
import { readConfig } from '../../src/config.ts'
import { startServer } from '../../src/server/start.ts'

const { SCALED_KEY_TIMES, ...env } = process.env
const stopped = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()))
const running = await startServer({
  config: readConfig(env),
  say: () => undefined,
  terminal: false,
  keyTimes: JSON.parse(SCALED_KEY_TIMES!),
})
process.stdout.write('{"ready":true}\n')
await stopped
await running.stop()
process.exit(0)
