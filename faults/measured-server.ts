// The command line, and one thing more: at SIGUSR2 it collects what is garbage and says on one line of standard output how much
// this process holds, at SIGCONT of what. The latter stands still for seconds.
import { readdirSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Footprint, Holdings } from './footprint.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Timers have a class, which nobody exports. */
const timer = setTimeout(() => undefined, 0)
const KINDS = {
  requests: IncomingMessage,
  answers: ServerResponse,
  sockets: Socket,
  timers: timer.constructor,
  promises: Promise,
} as const

process.on('SIGUSR2', () => {
  // What the first one finds dead lets go of more.
  for (let time = 0; time < 3; time += 1) collect()
  const footprint: Footprint = {
    memory: process.memoryUsage(),
    files: readdirSync('/proc/self/fd').length,
  }
  process.stdout.write(`${JSON.stringify({ measured: footprint })}\n`)
})
process.on('SIGCONT', () => {
  const holdings: Holdings = {
    objects: Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [name, count(kind)])),
    largest: Math.max(largest(Map), largest(Set)),
  }
  process.stdout.write(`${JSON.stringify({ measured: holdings })}\n`)
})

await import('../src/main.ts')

function count(kind: unknown): number {
  return Number(queryObjects(kind as never, { format: 'count' }))
}

/** @returns how many entries the largest map or set has */
function largest(kind: MapConstructor | SetConstructor): number {
  const all = queryObjects(kind as never, { format: 'summary' }) as unknown as string[]
  return Math.max(0, ...all.map((text) => Number(/^[^{]*\((\d+)\)/.exec(text)?.[1] ?? 0)))
}
