import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { basic } from '../../test/helpers/flow.ts'
import { seeded } from '../../test/helpers/load.ts'
import { type Heard, speak } from '../../test/helpers/raw-socket.ts'
import { THINGS } from '../../test/helpers/server.ts'
import type { Experiment } from '../experiment.ts'
import { type OddRequest, oddRequests } from '../odd-requests.ts'

const BODY = new URLSearchParams({ grant_type: 'client_credentials', resource: THINGS }).toString()
const PIPELINED = 50
/** Milliseconds. */
const ANSWER_WITHIN = 1000

/** Each odd request comes whole and in pieces, with a good one behind it; then good ones ahead of their answers, and floods of them. */
export const r36Headers: Experiment = {
  id: 'R-36',
  title: 'header storms, and requests that can be read in two ways',
  size: {
    full: `60 odd requests × 10 ways to cut them into packets, 200 pipelines of ${PIPELINED}, 20 floods, 1 and 2 processes`,
    quick: `60 odd requests × 2, 4 pipelines of ${PIPELINED}, 4 floods, 1 process`,
  },
  target: `431 or 400 within ${ANSWER_WITHIN} ms and the connection ends; pipelined requests are answered in order; each token was answered, once`,

  async run(bench) {
    const misses: string[] = []
    const installation = await bench.install()
    const { cast, issuer, ledger, database } = installation
    const { host } = new URL(issuer)
    const { authorization } = basic('shop', cast.shop)
    const token = `POST /token HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`
    const random = seeded(36)
    const issued = { answered: 0 }
    const total = { odd: 0, pipelined: 0, flooded: 0, slowest: 0 }
    const note = (text: string) => {
      for (const [, value] of text.matchAll(/"access_token":"([^"]+)"/g)) {
        issued.answered += 1
        bench.canaries.add(value)
        if (issued.answered % 20 === 0) ledger.tokens.set(value!, 'live')
      }
    }
    const stored = async () => Number((await database.pool().query('select count(*) from access_tokens')).rows[0].count)

    for (const processes of bench.quick ? [1] : [1, 2]) {
      const cluster = await installation.start({ processes })
      const ports = cluster.nodes.map(({ port }) => port)
      const before = await stored()
      issued.answered = 0
      for (const odd of oddRequests({ host, authorization: authorization!, body: BODY })) {
        for (let way = 0; way < (bench.quick ? 2 : 10); way += 1) {
          const heard = await inPieces(
            ports[way % ports.length]!,
            odd.bytes + token,
            way === 0 ? 1 : way === 1 ? 2 : 8,
            random,
          )
          note(heard.text)
          total.odd += 1
          total.slowest = Math.max(total.slowest, heard.first)
          const miss = judge(odd, heard)
          if (miss) misses.push(`${processes} processes, ${odd.name}: ${miss}`)
        }
      }
      bench.say(`${processes} processes: ${total.odd} odd requests, slowest answer ${Math.round(total.slowest)} ms`)

      for (let turn = 0; turn < (bench.quick ? 4 : 100); turn += 1) {
        const { bytes, expected } = pipeline(host, token, random)
        const heard = await inPieces(ports[turn % ports.length]!, bytes, turn % 2 === 0 ? 1 : 40, random)
        note(heard.text)
        total.pipelined += PIPELINED
        if (heard.statuses.join() !== expected.join())
          misses.push(`${processes} processes: a pipeline was answered ${heard.statuses.join()} for ${expected.join()}`)
        if (heard.end !== 'closed') misses.push(`${processes} processes: a pipeline that ended was ${heard.end}`)
      }

      const made = (await stored()) - before
      if (made !== issued.answered)
        misses.push(`${processes} processes: ${made} tokens were made, ${issued.answered} were answered`)
      bench.say(`${processes} processes: ${made} tokens, ${total.pipelined} pipelined requests`)

      const floods = Promise.all(Array.from({ length: bench.quick ? 4 : 10 }, () => flood(ports[0]!, token)))
      await sleep(100)
      const meanwhile = await speak(ports[0]!, close(token))
      note(meanwhile.text)
      if (meanwhile.statuses.join() !== '200' || meanwhile.first > ANSWER_WITHIN)
        misses.push(`during floods a request was answered ${meanwhile.statuses.join()} after ${meanwhile.first} ms`)
      for (const heard of await floods) {
        total.flooded += 1
        if (heard.end === 'open') misses.push('a flood was not cut')
      }
    }
    return {
      result: `${total.odd} odd requests, ${total.pipelined} pipelined, ${total.flooded} floods; slowest first answer ${Math.round(total.slowest)} ms`,
      misses,
    }
  },
}

function judge({ answers, afterwards }: OddRequest, { statuses, end, first, text }: Heard): string | undefined {
  // The good one behind is the last on its connection.
  const wanted = afterwards === 'usable' ? [...answers, [200]] : answers
  const told = `answered ${statuses.join()}, ${end}`
  if (statuses.length !== wanted.length || statuses.some((status, index) => !wanted[index]!.includes(status)))
    return told
  // A reset ends it, too, where what is behind comes later; the answer has come before.
  if (end === 'open') return told
  if (first > ANSWER_WITHIN) return `the answer came after ${Math.round(first)} ms`
  return /evil/.test(text) ? 'the answer says what a stranger said' : undefined
}

/** Sends bytes in up to `pieces` packets, cut anywhere; the last request on the connection says that it is. */
function inPieces(port: number, bytes: string, pieces: number, random: () => number): Promise<Heard> {
  const all = Buffer.from(close(bytes), 'latin1')
  const cuts = Array.from({ length: pieces - 1 }, () => Math.floor(random() * all.length)).sort((a, b) => a - b)
  const parts = [0, ...cuts].map((from, index) => all.subarray(from, cuts[index] ?? all.length))
  return speak(port, parts[0]!, {
    write: (socket) => {
      socket.setNoDelay(true)
      void sendAll(socket, parts.slice(1))
    },
  })
}

async function sendAll(socket: Socket, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) {
    await sleep(1)
    if (!socket.writable) return
    socket.write(part)
  }
}

/** @returns the same with `Connection: close` in the last request */
function close(bytes: string): string {
  const at = bytes.lastIndexOf('\r\nContent-Type:')
  return `${bytes.slice(0, at)}\r\nConnection: close${bytes.slice(at)}`
}

/** @returns good requests of several kinds in any order, and the statuses that must come back in the same */
function pipeline(host: string, token: string, random: () => number): { bytes: string; expected: number[] } {
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
  const kinds: [string, number][] = [
    [token, 200],
    [get('/jwks'), 200],
    [get('/nowhere'), 404],
    [get('/userinfo'), 401],
    [get('/token'), 405],
    [get('/interaction/x'), 400],
    [get('/healthz'), 200],
  ]
  const chosen = Array.from({ length: PIPELINED - 1 }, () => kinds[Math.floor(random() * kinds.length)]!)
  return {
    bytes: [...chosen.map(([bytes]) => bytes), token].join(''),
    expected: [...chosen.map(([, status]) => status), 200],
  }
}

/** Sends good requests as fast as they are taken, and reads the answers, for five seconds at most. */
function flood(port: number, token: string): Promise<Heard> {
  const many = Buffer.from(token.repeat(500))
  const push = (socket: Socket) => {
    while (socket.writable) if (!socket.write(many)) return void socket.once('drain', () => push(socket))
  }
  return speak(port, '', { write: push })
}
