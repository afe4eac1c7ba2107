// Whoever is slow is cut, whoever has too many connections loses the idle ones, and nobody else notices.
import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Listening, listen } from '../../src/port/listen.ts'
import { speak } from '../helpers/raw-socket.ts'
import { freePort } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

const TIMES = { headers: 300, request: 600, look: 50, answer: 400, idle: 100, idleProxy: 2000 }
/** For who is bounded by something else than time. */
const NO_HURRY = { headers: 60_000, request: 60_000, answer: 60_000, idle: 60_000, idleProxy: 60_000 }
/** Milliseconds for which we listen: longer than any of the times that are asserted. */
const within = 20_000
const PROXY = '127.0.0.9'

const open: Listening[] = []
const sockets: Socket[] = []
let reported: string[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(open.splice(0).map((one) => one.close(0)))
})

async function serve(handler: RequestListener, { perAddress = 1000, times = {} } = {}): Promise<number> {
  const port = await freePort()
  reported = []
  const report = (from: string) => void reported.push(from)
  const isTrusted = (address: string) => address === PROXY
  open.push(
    await listen(handler, port, ['127.0.0.1'], {
      perAddress,
      isTrusted,
      report,
      times: { ...TIMES, ...times },
    }),
  )
  return port
}
const answering: RequestListener = (incoming, answer) => {
  incoming.resume()
  incoming.on('end', () => answer.end('done'))
}
const early: RequestListener = (_incoming, answer) => void answer.writeHead(405).end('no')
const GET = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n'
const post = (header: string) => `POST / HTTP/1.1\r\nHost: here\r\n${header}\r\n\r\n`

function every(milliseconds: number, bytes: string | Buffer) {
  return (socket: Socket) => {
    const timer = setInterval(() => socket.writable && socket.write(bytes), milliseconds)
    socket.once('close', () => clearInterval(timer))
  }
}
/** A connection that stays. */
async function stay(port: number, bytes = '', from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.resume()
  await new Promise((resolve) => socket.once('connect', resolve))
  if (bytes) socket.write(bytes)
  return socket
}

it('S-011 who says nothing, or drips headers or a body, is cut in time', async () => {
  const port = await serve(answering)
  const all = await Promise.all([
    speak(port, '', { within }),
    speak(port, 'GET / HTTP/1.1\r\nHost: here\r\n', { within, write: every(30, 'X: 1\r\n') }),
    speak(port, post('Content-Length: 50000'), { within, write: every(30, 'x') }),
    speak(port, post('Transfer-Encoding: chunked'), { within, write: every(30, '1\r\nx\r\n') }),
  ])
  for (const { end, lasted, statuses } of all)
    expect([end === 'open', lasted < 1500, statuses]).toEqual([false, true, [408]])
  expect(all[1].lasted).toBeLessThan(600)
})

it('S-011 who asks once and does not take the answer is cut in time', async () => {
  const cut = Promise.withResolvers<number>()
  const port = await serve((incoming, answer) => {
    const begun = performance.now()
    incoming.socket.once('close', () => cut.resolve(performance.now() - begun))
    answer.end('x'.repeat(50_000_000)) // more than kernels hold
  })
  const socket = await stay(port, GET)
  socket.pause()
  const lasted = await Promise.race([cut.promise, sleep(within, Number.POSITIVE_INFINITY)])
  expect([lasted > TIMES.answer / 2, lasted < 2000]).toEqual([true, true])
})

it('S-011 who sends on and does not take the answers is cut in time, and what is made for it is bounded', async () => {
  let made = 0
  const port = await serve((_incoming, answer) => {
    made += 1
    answer.end('x'.repeat(100_000))
  })
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.on('error', () => undefined)
  const begun = performance.now()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  every(1, GET.repeat(5))(socket)
  await closed
  expect(performance.now() - begun).toBeLessThan(3000)
  expect(made).toBeLessThan(200) // what kernels hold, some megabytes
})

it('an idle connection of a stranger ends soon, that of a proxy later', async () => {
  const { idleProxy } = TIMES
  const port = await serve(answering)
  const [stranger, proxy] = await Promise.all([speak(port, GET, { within }), speak(port, GET, { within, from: PROXY })])
  expect([stranger.end, proxy.end]).toEqual(['closed', 'closed'])
  expect(stranger.lasted).toBeLessThan(idleProxy)
  expect(proxy.lasted).toBeGreaterThan(idleProxy)
})

it('one address has so many connections and no more: the longest idle goes, none that is being answered', async () => {
  const late = Promise.withResolvers<void>()
  let begun = 0
  let answered = 0
  const handler: RequestListener = async (incoming, answer) => {
    begun += 1
    answer.once('close', () => {
      answered += 1
    })
    if (incoming.url === '/slow') await late.promise
    answer.end('done')
  }
  const port = await serve(handler, { perAddress: 5, times: NO_HURRY })
  /** Asks so often, and waits for the answers. */
  const getOn = async (...on: Socket[]) => {
    const then = answered + on.length
    for (const socket of on) socket.write(GET)
    await until(() => answered === then)
  }
  const slow = speak(port, 'GET /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n', { within })
  await until(() => begun === 1)
  const used = await stay(port)
  await getOn(used)
  const dripping = await stay(port, 'GET / HT')
  const others = [await stay(port), await stay(port)] as const
  for (const socket of [...others, used]) await getOn(socket) // `used` is the newest again
  const elsewhere: Socket[] = []
  for (const from of ['127.0.0.2', PROXY, PROXY, PROXY, PROXY, PROXY, PROXY]) elsewhere.push(await stay(port, '', from))
  await getOn(...elsewhere)
  expect(reported).toEqual([])
  await getOn(await stay(port))
  await getOn(await stay(port))
  expect(reported).toEqual(['127.0.0.1', '127.0.0.1'])
  await until(() => dripping.closed && others[0].closed)
  await getOn(others[1], used, ...elsewhere)
  late.resolve()
  expect(await slow).toMatchObject({ statuses: [200] })
  // A newcomer is always answered.
  for (let more = 0; more < 20; more += 1) await stay(port)
  const last = GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
  expect(await speak(port, last, { within })).toMatchObject({ statuses: [200] })
  expect(new Set(reported)).toEqual(new Set(['127.0.0.1']))
})

it('S-011 a body that nobody reads is not read for long, and its answer arrives', async () => {
  const port = await serve(early)
  const mega = Buffer.alloc(1024 * 1024, 'x')
  for (const header of ['Content-Length: 100000000', 'Transfer-Encoding: chunked']) {
    const chunk = header.startsWith('T') ? Buffer.concat([Buffer.from('100000\r\n'), mega, Buffer.from('\r\n')]) : mega
    let sent = 0
    const push = (socket: Socket) => {
      while (socket.writable && sent < 100 * mega.length) {
        sent += chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', () => push(socket))
      }
    }
    const heard = await speak(port, post(header), { within, write: push })
    expect([heard.statuses, heard.end === 'open', heard.first < 500]).toEqual([[405], false, true])
    expect(heard.text).toMatch(/connection: close/i)
    expect(sent).toBeLessThan(20 * mega.length) // what kernels hold, and one of ours
  }
})

it('a small body that comes late leaves its connection usable, one that does not come does not', async () => {
  const port = await serve(early)
  const both = await speak(port, post('Content-Length: 4'), {
    within,
    write: (socket) => void socket.once('data', () => socket.write(`late${GET}`)),
  })
  expect([both.statuses, both.end]).toEqual([[405, 405], 'closed'])
  const never = await speak(port, post('Content-Length: 4'), { within })
  expect([never.statuses, never.end === 'open']).toEqual([[405], false])
  // Chunked, and read to its end.
  const other = await serve(answering)
  const chunked = post('Transfer-Encoding: chunked')
  expect((await speak(other, `${chunked}1\r\nx\r\n0\r\n\r\n${GET}`)).statuses).toEqual([200, 200])
})

it('S-011 a body in a thousand crumbs is read, one of more is refused, and no part of it is taken for the whole', async () => {
  const read: number[] = []
  const port = await serve((incoming, answer) => {
    let length = 0
    incoming.on('data', (data: Buffer) => {
      length += data.length
    })
    incoming.on('error', () => undefined)
    incoming.on('end', () => {
      read.push(length)
      answer.end('done')
    })
  })
  const crumbs = (times: number) => `${post('Transfer-Encoding: chunked')}${'1\r\nx\r\n'.repeat(times)}0\r\n\r\n`
  expect((await speak(port, crumbs(1000))).statuses).toEqual([200])
  for (const ahead of ['', GET])
    expect((await speak(port, ahead + crumbs(1001), { within })).statuses).not.toContain(408)
  expect(await speak(port, crumbs(1001))).toMatchObject({ statuses: [400], end: 'closed' })
  expect(await speak(port, crumbs(200_000))).toMatchObject({ statuses: [400] })
  expect(read.filter((length) => length > 0)).toEqual([1000])
})
