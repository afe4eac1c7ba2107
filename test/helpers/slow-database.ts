// A proxy in front of a database's unix socket that holds every packet back, so that what happens between two statements of
// one request has time to happen.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestConnection } from './database.ts'

export interface SlowDatabase {
  /** a DATABASE_URL that leads through the proxy */
  readonly url: string
  /** Cuts every connection and takes no new ones. */
  interrupt(): Promise<void>
  /** Takes connections again. */
  resume(): Promise<void>
  close(): Promise<void>
}

/**
 * @param milliseconds added to every round trip (on the way there)
 */
export async function slowDown(connection: TestConnection, milliseconds: number): Promise<SlowDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-slow-'))
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(join(connection.host, `.s.PGSQL.${connection.port}`))
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (data) => {
      if (milliseconds === 0) far.write(data)
      else setTimeout(() => far.writable && far.write(data), milliseconds)
    })
    far.on('data', (data) => near.write(data))
  })
  const resume = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(join(folder, '.s.PGSQL.5432'), resolve)
    })
  const interrupt = async () => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  await resume()
  return {
    url: `postgresql://${connection.user}@/${connection.database}?host=${encodeURIComponent(folder)}&port=5432`,
    interrupt,
    resume,
    async close() {
      await interrupt()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
