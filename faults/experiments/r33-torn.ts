import { execFile } from 'node:child_process'
import { rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { obtainTokens, post } from '../../test/helpers/flow.ts'
import { emptyLedger, type Ledger } from '../../test/helpers/load.ts'
import { type Embedded, startEmbedded } from '../embedded.ts'
import type { Experiment } from '../experiment.ts'
import { consultEmbedded } from '../oracle.ts'

/** The newest file of the write-ahead log truncated, then emptied; the database's folder gone. */
export const r33Torn: Experiment = {
  id: 'R-33',
  title: 'a torn data folder',
  size: {
    full: 'the newest file of the write-ahead log cut to a half, to one page, emptied; the folder of the database gone',
    quick: 'the newest file of the write-ahead log emptied; the folder of the database gone',
  },
  target: 'refused with a clear message, or recovered to the last commit; never silently empty',

  async run(bench) {
    const place = await startEmbedded(bench)
    const data = join(place.place, 'postgres')
    const ledger = emptyLedger()
    const misses: string[] = []
    const told: string[] = []
    const megabytes = bench.quick ? [0] : [8 * 1024 * 1024, 8192, 0]
    for (const size of megabytes) {
      await issue(place, ledger)
      const newest = await newestLog(place)
      await place.killBoth()
      await copy(data, `${data}.whole`)
      await truncate(newest, size)
      const refusal = await start(place)
      bench.say(`${size} bytes: ${refusal ?? 'started'}`)
      told.push(`${size} bytes: ${refusal === undefined ? 'started' : 'refused'}`)
      if (refusal === undefined) misses.push(...(await missing(place, ledger)))
      else if (!isClear(refusal)) misses.push(`${size} bytes: no clear message: ${refusal}`)
      if (refusal === undefined) await place.killBoth()
      // What PostgreSQL did with the torn log is not undone by bringing the file back: the whole folder is.
      await rm(data, { recursive: true })
      await rename(`${data}.whole`, data)
      const again = await start(place)
      if (again !== undefined) misses.push(`with its folder as it was it does not start: ${again}`)
    }

    await place.server().stop()
    await rename(data, `${data}.away`)
    const refusal = await start(place)
    bench.say(`folder gone: ${refusal ?? 'started'}`)
    told.push(`folder gone: ${refusal === undefined ? 'started' : 'refused'}`)
    if (refusal === undefined) misses.push('a fresh database took the place of one that is gone')
    else if (!isClear(refusal)) misses.push(`folder gone: no clear message: ${refusal}`)
    await rename(`${data}.away`, data)
    const again = await start(place)
    if (again !== undefined) misses.push(`with its folder back it does not start: ${again}`)
    misses.push(...(await consultEmbedded(bench, place, ledger)))
    return { result: `${told.join('; ')}; in the end all ${ledger.tokens.size} tokens are there`, misses }
  },
}

/** With owners and modes, of which PostgreSQL is particular. */
const copy = (from: string, to: string) => promisify(execFile)('cp', ['-a', from, to])

async function issue({ issuer, machine }: Embedded, ledger: Ledger): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    const { body } = await post({ issuer }, '/token', { grant_type: 'client_credentials' }, machine)
    ledger.tokens.set(body.access_token, 'live')
  }
  const { body } = await obtainTokens({ issuer }, { id: 'spa' }, { scope: 'openid things:read' })
  ledger.tokens.set(body.access_token, 'live')
}

/** @returns path of the file that the database writes to now */
async function newestLog({ place, connect }: Embedded): Promise<string> {
  const client = await connect()
  const { rows } = await client.query('select pg_walfile_name(pg_current_wal_lsn()) as name')
  await client.end()
  return join(place, 'postgres/pg_wal', rows[0].name)
}

/** @returns what it said when it did not start */
async function start(place: Embedded): Promise<string | undefined> {
  return place.restart().then(
    () => undefined,
    (error: Error) => error.message,
  )
}

/** A person is told in words what is wrong, and is not shown a stack. */
function isClear(refusal: string): boolean {
  return /database|PostgreSQL/i.test(refusal) && !/^\s+at /m.test(refusal)
}

async function missing({ issuer, api }: Embedded, { tokens }: Ledger): Promise<string[]> {
  let gone = 0
  for (const [token] of tokens) {
    const { body } = await post({ issuer }, '/introspect', { token }, api)
    if (body.active !== true) gone++
  }
  return gone === 0 ? [] : [`(a) it started, and ${gone} of ${tokens.size} acknowledged tokens are gone`]
}
