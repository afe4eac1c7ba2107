import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { launchChromium } from './chromium.ts'

// A browser that ignores the rules between origins would let every other browser test pass for the wrong reason.
describe('the Chromium of the tests', () => {
  let browser: Browser
  let server: Server
  let other: Server
  beforeAll(async () => {
    browser = await launchChromium()
    server = await serve('<!doctype html><title>page</title>')
    other = await serve('the secret of another origin')
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
    other?.close()
  })

  it('blocks a fetch from another origin', async () => {
    const page = await browser.newPage()
    await page.goto(origin(server))
    const read = (url: string) =>
      page.evaluate(
        (target) =>
          fetch(target).then(
            (response) => response.text(),
            (error) => `blocked: ${error.name}`,
          ),
        url,
      )
    expect(await read(origin(server))).toContain('page')
    expect(await read(origin(other))).toBe('blocked: TypeError')
  })
})

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function serve(body: string): Promise<Server> {
  const server = createServer((_request, response) => response.end(body))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}
