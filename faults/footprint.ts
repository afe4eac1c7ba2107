// What a server process holds when nobody asks anything of it: memory, files, and objects by their class.
import { on } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerProcess } from '../test/helpers/process.ts'

/** What `faults/measured-server.ts` says at SIGUSR2. */
export interface Footprint {
  readonly memory: NodeJS.MemoryUsage
  /** open file descriptors */
  readonly files: number
}

/** What it says at SIGCONT. */
export interface Holdings {
  /** how many live objects there are of each class */
  readonly objects: Readonly<Record<string, number>>
  /** entries of the largest map or set */
  readonly largest: number
}

/** The command line that can be asked. */
export const MEASURED = ['faults/measured-server.ts', 'start', '--json']

/** Milliseconds. An idle connection to the database lives for ten seconds, and with it the request for which it was made. */
const ANSWERS_WITHIN = 120_000
const BETWEEN = 12_000
const LOOKS = 6

/**
 * Looks until two looks in a row agree, because connections are given back and memory is returned only after a while.
 * @param server one that runs MEASURED
 */
export async function measureAtRest(server: ServerProcess): Promise<Footprint & Holdings> {
  await sleep(BETWEEN)
  const holdings = await ask<Holdings>(server, 'SIGCONT')
  let last = await ask<Footprint>(server, 'SIGUSR2')
  for (let look = 0; look < LOOKS; look += 1) {
    await sleep(BETWEEN)
    const next = await ask<Footprint>(server, 'SIGUSR2')
    const same = next.files === last.files && next.memory.rss > last.memory.rss * 0.99
    last = next
    if (same) break
  }
  return { ...last, ...holdings }
}

async function ask<T>({ child }: ServerProcess, signal: 'SIGUSR2' | 'SIGCONT'): Promise<T> {
  const said = on(child.stdout!, 'data', { signal: AbortSignal.timeout(ANSWERS_WITHIN) })
  child.kill(signal)
  let text = ''
  for await (const [data] of said) {
    text += data
    const line = /^\{"measured".*\n/m.exec(text)
    if (line) return JSON.parse(line[0]).measured
  }
  throw new Error('the server has closed its output')
}
