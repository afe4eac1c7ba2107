// A proxy between Gatehouse and its database that understands just enough of PostgreSQL's protocol to count the steps: one step
// is what ends with a simple query or a Sync, and is answered as a whole. At the step that it is told, it calls for a kill.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databaseUrl, type TestConnection } from '../test/helpers/database.ts'

/** the nth step of all, from 1, or the nth that commits a transaction: a server takes steps of its own in between */
export type At = { readonly step: number } | { readonly commit: number }

export interface StepProxy {
  /** a DATABASE_URL that leads through the proxy */
  readonly url: string
  /**
   * Counts from now on.
   * @param at the step to wait for
   * @param when `before` it is sent on, which it then never is, or `after` it was, and before the answer is back
   * @param kill kills the client at once
   */
  arm(at: At, when: 'before' | 'after', kill: () => void): void
  /** Counts no more. @returns how many steps there were, and whether the one that was waited for came */
  disarm(): { steps: number; came: boolean }
  close(): Promise<void>
}

interface Armed {
  readonly at: At
  readonly when: 'before' | 'after'
  readonly kill: () => void
  steps: number
  commits: number
  came: boolean
}

const QUERY = 0x51 // 'Q'
const SYNC = 0x53 // 'S'

/** Starts it on a unix socket of its own. */
export async function startStepProxy(target: TestConnection): Promise<StepProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-steps-'))
  const sockets = new Set<Socket>()
  let armed: Armed | undefined

  const server = createServer((near) => {
    const far = target.host.startsWith('/')
      ? connect(join(target.host, `.s.PGSQL.${target.port}`))
      : connect(target.port, target.host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
    }
    // What has arrived is carried out, also when the client is gone by then.
    near.on('close', () => far.end())
    far.on('close', () => near.destroy())
    far.on('data', (data) => near.writable && near.write(data))
    const take = readSteps((batch, isStep) => {
      if (!armed || !isStep || armed.came || !isReached(armed, batch)) return void far.write(batch)
      armed.came = true
      const { when, kill } = armed
      if (when === 'after') return void far.write(batch, kill)
      kill()
      near.destroy()
    })
    near.on('data', take)
  })
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve))

  return {
    url: databaseUrl({ ...target, host: folder, port: 5432 }),
    arm(at, when, kill) {
      armed = { at, when, kill, steps: 0, commits: 0, came: false }
    },
    disarm() {
      const { steps, came } = armed!
      armed = undefined
      return { steps, came }
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Counts one more step. */
function isReached(armed: Armed, batch: Buffer): boolean {
  armed.steps++
  if (/\bcommit\b/i.test(batch.toString('latin1'))) armed.commits++
  else if ('commit' in armed.at) return false
  return 'commit' in armed.at ? armed.commits === armed.at.commit : armed.steps === armed.at.step
}

/** @returns takes what a client sends, and hands it on message by message or step by step */
function readSteps(pass: (batch: Buffer, isStep: boolean) => void): (data: Buffer) => void {
  let buffer = Buffer.alloc(0)
  let batch: Buffer[] = []
  let started = false
  return (data) => {
    buffer = Buffer.concat([buffer, data])
    for (;;) {
      // The first message has no type; every other has one before its length, which counts itself.
      const head = started ? 1 : 0
      if (buffer.length < head + 4) return
      const length = head + buffer.readUInt32BE(head)
      if (buffer.length < length) return
      const message = buffer.subarray(0, length)
      buffer = buffer.subarray(length)
      const type = started ? message[0]! : 0
      started = true
      batch.push(message)
      // Parse, Bind, Describe, Execute wait for their Sync; all else is sent on at once.
      if (type !== 0x50 && type !== 0x42 && type !== 0x44 && type !== 0x45) {
        pass(Buffer.concat(batch), type === QUERY || type === SYNC)
        batch = []
      }
    }
  }
}
