// What the process that was started and its workers say to each other.
import type { Connection } from '../db/connect.ts'
import type { Measured } from './metrics.ts'

/**
 * From the process that was started to a worker, in this order; `shed` may be left out, and `take` comes any number of times before
 * `stop`, with a connection and its number, which the worker says again once it has it. Who asks for metrics counts the `turn`,
 * and the answer carries it.
 */
export type Order =
  | { readonly order: 'serve'; readonly connection: Connection; readonly place: string; readonly demo: boolean }
  | { readonly order: 'take'; readonly number: number }
  | { readonly order: 'turn red' }
  | { readonly order: 'shed' }
  | { readonly order: 'measure'; readonly turn: number }
  | { readonly order: 'metrics'; readonly turn: number; readonly text: string }
  | { readonly order: 'stop' }

/** From a worker. A `fault` is one that an operator can mend; the worker ends with it. */
export type Report =
  | { readonly report: 'ready' }
  | { readonly report: 'taken'; readonly number: number }
  | { readonly report: 'asked'; readonly from: string }
  | { readonly report: 'metrics wanted'; readonly turn: number }
  | { readonly report: 'measured'; readonly turn: number; readonly measured: Measured }
  | { readonly report: 'fault'; readonly message: string; readonly advice: string }
