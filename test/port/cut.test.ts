// What is left of requests whose clients have gone.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { listen } from '../../src/port/listen.ts'
import { freePort } from '../helpers/server.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

it('requests whose clients went before the answers were made are held by nothing', async () => {
  const held: WeakRef<IncomingMessage>[] = []
  const port = await freePort()
  const handler = (incoming: IncomingMessage, answer: ServerResponse) => {
    held.push(new WeakRef(incoming))
    client.resetAndDestroy()
    answer.once('close', () => setImmediate(() => answer.end('too late')))
  }
  const listening = await listen(handler, port, ['127.0.0.1'], { perAddress: 1000, isTrusted: () => false })
  let client: Socket
  for (let time = 0; time < 20; time += 1) {
    client = connect(port, '127.0.0.1')
    client.on('error', () => undefined)
    client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n')
    await once(client, 'close')
  }
  // Node itself keeps the last one or two. A client has twenty seconds to take its answer.
  const until = performance.now() + 15_000
  const alive = () => held.filter((one) => one.deref()).length
  while (alive() > 2 && performance.now() < until) {
    await sleep(10)
    collect()
  }
  expect(held).toHaveLength(20)
  expect(alive()).toBeLessThanOrEqual(2)
  await listening.close()
})
