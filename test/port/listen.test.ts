// A server that closes answers what was sent to it, on connections that are there already, too.
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '../../src/port/listen.ts'
import { speak } from '../helpers/raw-socket.ts'
import { freePort } from '../helpers/server.ts'

const LIMITS = { perAddress: 1000, isTrusted: () => false }

const agents: Agent[] = []
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy()
})

/** Asks once, on a connection that is kept. @returns the answer, with its body read to the end, or the error's code */
function ask(port: number, agent: Agent): Promise<IncomingMessage | string> {
  return new Promise((resolve) => {
    const outgoing = request({ port, host: '127.0.0.1', agent }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer))
      answer.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    outgoing.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    outgoing.end()
  })
}
function keeping(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  agents.push(agent)
  return agent
}

it('no request on a kept connection is lost while it closes', async () => {
  for (let round = 0; round < 5; round += 1) {
    const port = await freePort()
    const listening = await listen(
      (_request, answer) => void setTimeout(() => answer.end('done'), 2),
      port,
      ['127.0.0.1'],
      LIMITS,
    )
    const ends: string[] = []
    const clients = Array.from({ length: 20 }, async (_, index) => {
      const agent = keeping()
      for (;;) {
        const answer = await ask(port, agent)
        if (typeof answer === 'string') return ends.push(answer)
        await sleep(index) // another rhythm each
      }
    })
    await sleep(100)
    await listening.close()
    await Promise.all(clients)
    // Each was told on its connection, and found nobody when it came back.
    expect(new Set(ends)).toEqual(new Set(['ECONNREFUSED']))
  }
})

it('under a load that never pauses it closes all the same, and cuts no answer', async () => {
  const port = await freePort()
  const work = (milliseconds: number) => {
    const until = performance.now() + milliseconds
    while (performance.now() < until);
  }
  const handler = (_request: unknown, answer: ServerResponse) => {
    work(1)
    answer.end('done')
  }
  const listening = await listen(handler, port, ['127.0.0.1'], LIMITS)
  const ends: string[] = []
  const clients = Array.from({ length: 16 }, async () => {
    const agent = keeping()
    for (;;) {
      const answer = await ask(port, agent)
      if (typeof answer === 'string') return ends.push(answer)
    }
  })
  await sleep(100)
  await listening.close()
  await Promise.all(clients)
  expect(new Set(ends)).toEqual(new Set(['ECONNREFUSED']))
})

it('connections that wait behind a busy loop when it closes are all answered', async () => {
  const port = await freePort()
  const listening = await listen((_request, answer) => void answer.end('done'), port, ['127.0.0.1'], LIMITS)
  // The kernel accepts them for us; this process has no time to.
  const asked = Array.from({ length: 50 }, () => ask(port, keeping()))
  await new Promise<void>((resolve) => process.nextTick(resolve)) // then they connect
  const busyUntil = performance.now() + 50
  while (performance.now() < busyUntil);
  await Promise.all([listening.close(), ...asked])
  const answers = await Promise.all(asked)
  expect(answers.filter((answer) => typeof answer === 'string' || answer.statusCode !== 200)).toEqual([])
})

it('a request under way is finished and its connection ended; what is idle or silent keeps nobody waiting', async () => {
  const port = await freePort()
  const listening = await listen((_incoming, answer) => void answer.end('done'), port, ['127.0.0.1'], LIMITS)
  const idle = keeping()
  expect(await ask(port, idle)).toMatchObject({ statusCode: 200 })
  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => undefined)
  await sleep(50)
  const begun = performance.now()
  await listening.close()
  expect(performance.now() - begun).toBeLessThan(900)

  const again = await listen(
    (_incoming, answer) => void setTimeout(() => answer.end('done'), 600),
    port,
    ['127.0.0.1'],
    LIMITS,
  )
  const under = ask(port, keeping())
  await sleep(100)
  await again.close()
  const answer = await under
  expect(answer).toMatchObject({ statusCode: 200, headers: { connection: 'close' } })
})

it('a request that is half said is waited for, and answered when the rest comes', async () => {
  const port = await freePort()
  const listening = await listen((_incoming, answer) => void answer.end('done'), port, ['127.0.0.1'], LIMITS)
  const said = await speak(port, 'GET / HT', {
    within: 20_000,
    async write(socket) {
      await sleep(50)
      const closed = listening.close()
      await sleep(600) // an idle one is gone by then
      socket.write('TP/1.1\r\nHost: here\r\n\r\n')
      await closed
    },
  })
  expect(said).toMatchObject({ statuses: [200], end: 'closed', text: expect.stringMatching(/connection: close/i) })
})

it('whoever is answered before the request has come to its end may send the rest', async () => {
  const port = await freePort()
  const listening = await listen((_incoming, answer) => void answer.end('early'), port, ['127.0.0.1'], LIMITS)
  const socket = connect(port, '127.0.0.1')
  socket.resume()
  const ended = new Promise<string>((resolve) => {
    socket.once('error', (error) => resolve(error.message))
    socket.once('close', () => resolve('closed'))
  })
  socket.write('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nab')
  await sleep(100)
  const closed = listening.close()
  await sleep(600)
  socket.write('cd')
  await closed
  expect(await ended).toBe('closed')
})

it('what does not end is cut after the grace', async () => {
  const port = await freePort()
  const listening = await listen(() => undefined, port, ['127.0.0.1'], LIMITS)
  const never = ask(port, keeping())
  const half = speak(port, 'GET / HT', { within: 20_000 })
  await sleep(50)
  const begun = performance.now()
  await listening.close(0.5)
  expect(await never).toMatch(/ECONNRESET|hang up/)
  expect((await half).end).not.toBe('open')
  expect(performance.now() - begun).toBeLessThan(1000)
})
