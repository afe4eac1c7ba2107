// A database with latency, without which races do not show.
import { type FaultProxy, type ProxyTarget, startFaultProxy } from './fault-proxy.ts'

export type SlowDatabase = FaultProxy

/**
 * @param milliseconds added to every round trip
 */
export function slowDown(connection: ProxyTarget, milliseconds: number): Promise<SlowDatabase> {
  return startFaultProxy(connection, { latency: milliseconds })
}
