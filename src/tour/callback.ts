// Where the app of the tour lives: one address on this machine that waits for the browser to come back.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OperatorFault } from '../vocabulary/fault.ts'

const MOST_MINUTES = 5

export interface Callback {
  /** the redirect URI */
  readonly url: string
  /** @returns the address that the browser came back with. @throws OperatorFault after five minutes */
  wait(): Promise<URL>
  close(): Promise<void>
}

/** Opens a port of 127.0.0.1. */
export async function openCallback(): Promise<Callback> {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<URL>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    const back = url.pathname === '/callback'
    response.writeHead(back ? 200 : 404, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'",
    })
    response.end(
      back
        ? '<!doctype html><html lang="en"><title>Back at the app</title><p>You are back at the app. You can close this page; the story goes on in the terminal.'
        : '',
    )
    if (back) arrive(url)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/callback`,
    wait() {
      const late = new OperatorFault(`Nobody came back within ${MOST_MINUTES} minutes.`, 'Run the command again.')
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(late), MOST_MINUTES * 60_000)
        void arrived.then((url) => {
          clearTimeout(timer)
          resolve(url)
        })
      })
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
