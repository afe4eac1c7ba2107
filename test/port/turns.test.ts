// Requests that come ahead of the answers on one connection, and what is no request among them.
import type { IncomingMessage, RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Listening, listen } from '../../src/port/listen.ts'
import { speak } from '../helpers/raw-socket.ts'
import { freePort } from '../helpers/server.ts'

const open: Listening[] = []
afterEach(() => Promise.all(open.splice(0).map((one) => one.close(0))))

async function serve(handler: RequestListener): Promise<number> {
  const port = await freePort()
  open.push(await listen(handler, port, ['127.0.0.1'], { perAddress: 1000, isTrusted: () => false }))
  return port
}
const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: here\r\n${more}\r\n`
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: here\r\nContent-Length: ${body.length}\r\n\r\n${body}`

it('requests that came together are taken one after the other, and answered in their order', async () => {
  let running = 0
  let most = 0
  const port = await serve(async (incoming, answer) => {
    most = Math.max(most, ++running)
    await sleep(Math.random() * 10)
    running -= 1
    answer.end(`${incoming.url};`)
  })
  const paths = Array.from({ length: 30 }, (_, index) => `/${index}`)
  const { text, end } = await speak(
    port,
    paths.map((path) => get(path)).join('') + get('/end', 'Connection: close\r\n'),
  )
  expect([most, end]).toEqual([1, 'closed'])
  expect([...text.matchAll(/(\/\w+);/g)].map((match) => match[1])).toEqual([...paths, '/end'])
})

it('what is no HTTP is refused after everything ahead of it was answered', async () => {
  const port = await serve((_incoming, answer) => void setTimeout(() => answer.end('done'), 20))
  for (const bad of [
    'garbage\r\n\r\n',
    get('/', 'X: a\0b\r\n'),
    get('/', 'Content-Length: 1\r\nContent-Length: 2\r\n'),
  ])
    expect(await speak(port, post('/1', 'x') + post('/2', 'y') + bad)).toMatchObject({
      statuses: [200, 200, 400],
      end: 'closed',
    })
})

it('a body that breaks off in the middle is refused at once, after what is whole', async () => {
  const port = await serve(async (incoming, answer) => {
    if (await readAll(incoming)) answer.end('done')
  })
  const broken = 'POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n'
  expect(await speak(port, broken)).toMatchObject({ statuses: [400], end: 'closed' })
  expect(await speak(port, get('/') + broken)).toMatchObject({ statuses: [200, 400], end: 'closed' })
})

it('nothing is begun that would not be answered: behind an answer that ends the connection, or on one that is gone', async () => {
  const begun: string[] = []
  const gone = Promise.withResolvers<void>()
  let client: Socket
  const port = await serve((incoming, answer) => {
    begun.push(incoming.url!)
    if (incoming.url !== '/gone') return void setTimeout(() => answer.end('done'), 50)
    incoming.socket.once('close', () => {
      answer.end('done')
      gone.resolve()
    })
    client.destroy()
  })
  expect((await speak(port, get('/last', 'Connection: close\r\n') + post('/behind', 'x'))).statuses).toEqual([200])
  await speak(port, get('/gone') + post('/waiting', 'x'), {
    write: (socket) => {
      client = socket
    },
  })
  await gone.promise
  await turn()
  expect(begun).toEqual(['/last', '/gone'])
})

it('who sends a hundred ahead and more is cut, and costs nothing', async () => {
  let begun = 0
  const port = await serve(() => {
    begun += 1 // never answered
  })
  const { statuses, end } = await speak(port, get('/').repeat(5000))
  expect([statuses, end === 'open', begun]).toEqual([[], false, 1])
})

async function readAll(incoming: IncomingMessage): Promise<boolean> {
  try {
    for await (const _chunk of incoming);
    return true
  } catch {
    return false
  }
}
