// What a browser makes of our headers: a page of ours in a frame of somebody else's shows nothing (SECURITY S-005).
import { createServer } from 'node:http'
import { launchChromium } from '../helpers/chromium.ts'
import { authorizeUrl, pkce } from '../helpers/flow.ts'
import { addCast, startTestServer, type TestServer } from '../helpers/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addCast(server)
})
afterAll(() => server.stop())

it('S-005 sign-in, landing and error pages stay blank in a foreign frame', async () => {
  const signIn = authorizeUrl(server, 'shop', pkce().challenge).href
  const unknownApp = authorizeUrl(server, 'nobody', pkce().challenge).href
  const addresses = [signIn, unknownApp, `${server.issuer}/`, `${server.issuer}/nowhere`]
  const framing = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(addresses.map((url) => `<iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`).join(''))
  })
  await new Promise<void>((resolve) => framing.listen(0, '127.0.0.1', resolve))
  const { port } = framing.address() as { port: number }
  const chromium = await launchChromium()
  try {
    const page = await chromium.newPage()
    await page.goto(`http://127.0.0.1:${port}/`, { waitUntil: 'load' })
    const frames = page.frames().slice(1)
    expect(frames.map((frame) => frame.url())).toEqual(addresses.map(() => 'chrome-error://chromewebdata/'))
    for (const frame of frames) {
      expect(await frame.evaluate('document.documentElement.textContent')).not.toMatch(/Gatehouse|Sign in/)
    }
    // Not framed, the same addresses show something.
    for (const address of addresses) {
      await page.goto(address)
      expect(await page.locator('h1').count()).toBe(1)
    }
  } finally {
    await chromium.close()
    framing.closeAllConnections()
    framing.close()
  }
})
