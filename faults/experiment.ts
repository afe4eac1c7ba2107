// What an experiment is, and what it is given. The numbers are those of SECURITY.md.
import type { Cluster } from '../test/helpers/cluster.ts'
import type { TestConnection, TestDatabase } from '../test/helpers/database.ts'
import type { Ledger } from '../test/helpers/load.ts'
import type { TestServer } from '../test/helpers/server.ts'
import type { Canaries } from './canaries.ts'
import type { BenchDatabase } from './database.ts'
import type { Need } from './needs.ts'

export interface Experiment {
  /** `R-01` */
  readonly id: string
  readonly title: string
  /** what is done, how often, on how many processes: in full, and in the slice of `npm test` */
  readonly size: { readonly full: string; readonly quick?: string }
  readonly target: string
  readonly needs?: readonly Need[]
  /** minutes after which it has failed; 15 unless told */
  readonly limit?: number
  run(bench: Bench): Promise<Outcome>
}

export interface Outcome {
  /** the figures, in words */
  readonly result: string
  /** what did not hold; none: the target was met */
  readonly misses: readonly string[]
}

/** An experiment's surroundings; all that is made through them is taken down by the bench. */
export interface Bench {
  /** the slice: small sizes */
  readonly quick: boolean
  /** tells whoever watches how far it is */
  readonly say: (line: string) => void
  readonly database: BenchDatabase
  readonly canaries: Canaries
  /** a folder for temporary files */
  readonly folder: string
  /**
   * Makes an installation: a database of its own with the tests' cast in it. The oracle looks at each at the end.
   * @param server another PostgreSQL than the bench's, one that the experiment may break
   */
  install(server?: TestConnection): Promise<Installation>
  /** Runs at the end, last one first, also after a failure. */
  after(work: () => Promise<unknown>): void
}

export interface Installation {
  /** a server inside the bench, for making things; it takes no part in the experiment */
  readonly home: TestServer
  readonly cast: Cast
  readonly database: TestDatabase
  /** the issuer of every cluster */
  readonly issuer: string
  readonly api: { id: string; secret: string }
  /** what people and clients were told, written by the experiment; the oracle holds the servers to it */
  readonly ledger: Ledger
  /** Starts processes; the one before is stopped first. */
  start(options: {
    processes: number
    latency?: number
    env?: Record<string, string>
    envOf?: (node: number) => Record<string, string>
    warm?: number
    program?: readonly string[]
  }): Promise<Cluster>
}

/** Secrets of the tests' clients, and the account of ada@example.com. */
export type Cast = Readonly<Record<'ada' | 'shop' | 'spa' | 'billing' | 'api' | 'stranger', string>>
