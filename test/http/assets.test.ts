import Koa from 'koa'
import request from 'supertest'
import { assets, stylesheetPath } from '../../src/http/assets.ts'

describe('assets', () => {
  const app = new Koa()
  app.use(assets())
  app.use((ctx) => {
    ctx.body = 'handed on'
  })
  const server = app.callback()

  it('serves the stylesheet under a name made of its content, for good', async () => {
    expect(stylesheetPath).toMatch(/^\/assets\/gatehouse\.[0-9a-f]{8}\.css$/)
    const answer = await request(server)
      .get(stylesheetPath)
      .expect(200)
      .expect('content-type', 'text/css; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(answer.text).toContain('prefers-color-scheme')
    // our policy would block what it would load from elsewhere, and a form needs no font of a third party
    expect(answer.text).not.toMatch(/@import|url\(/)
  })

  it('serves its own style for the name of another version, but not to be kept', async () => {
    const answer = await request(server).get('/assets/gatehouse.00000000.css').expect(200)
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it.each(['/favicon.svg', '/favicon.ico'])('serves the mark as %s', async (path) => {
    const answer = await request(server).get(path).expect(200).expect('content-type', 'image/svg+xml')
    expect(answer.body.toString()).toMatch(/^<svg /)
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
  })

  it('answers HEAD, and 405 to everything else', async () => {
    await request(server).head(stylesheetPath).expect(200)
    await request(server).post(stylesheetPath).expect(405).expect('allow', 'GET, HEAD')
    await request(server).delete('/favicon.ico').expect(405)
  })

  it.each([
    '/',
    '/assets/',
    '/assets/gatehouse.css',
    '/assets/..%2fpackage.json',
    '/favicon.svg/x',
    `${stylesheetPath}.map`,
  ])('hands on %s', async (path) => {
    expect((await request(server).get(path).expect(200)).text).toBe('handed on')
  })
})
