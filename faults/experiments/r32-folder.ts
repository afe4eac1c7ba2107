import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { obtainTokens, post } from '../../test/helpers/flow.ts'
import { emptyLedger, type Ledger } from '../../test/helpers/load.ts'
import { startProcess } from '../../test/helpers/process.ts'
import { freePort } from '../../test/helpers/server.ts'
import { type Embedded, startEmbedded } from '../embedded.ts'
import type { Bench, Experiment } from '../experiment.ts'
import { consultEmbedded } from '../oracle.ts'

const WITHIN = 10_000

/** A second server on one data folder, a stale lock, an orphaned database, a copied folder. */
export const r32Folder: Experiment = {
  id: 'R-32',
  title: 'one data folder: a second server, a stale lock, an orphan, a copy',
  size: { full: 'each once, with the embedded database', quick: 'each once, with the embedded database' },
  target:
    'the second is refused with pid and reason; lock and orphan are taken over, never two databases; a copy starts',

  async run(bench) {
    const first = await startEmbedded(bench, { whole: true })
    const ledger = emptyLedger()
    const misses: string[] = []
    await issue(first, ledger)

    const refusal = await startProcess({ ...first.settings, PORT: String(await freePort()) }).then(
      async (second) => {
        await second.kill()
        return undefined
      },
      (error: Error) => error.message,
    )
    const pid = String(first.server().child.pid)
    if (refusal === undefined) misses.push('a second server started on the same folder')
    else if (!refusal.includes(pid)) misses.push(`the second server is not told that ${pid} has the folder: ${refusal}`)
    await issue(first, ledger)

    const orphan = await first.postmaster()
    await first.server().kill()
    if ((await first.postmaster()) !== orphan)
      misses.push('the database did not outlive its server: no orphan to adopt')
    await comeBack('an orphan', first, misses)
    if ((await first.postmaster()) === undefined) misses.push('after the orphan there is no database')
    const alive = [orphan, await first.postmaster()].filter((one) => one !== undefined && isAlive(one))
    if (new Set(alive).size !== 1) misses.push(`databases that run after the orphan: ${alive}`)
    await issue(first, ledger)

    await first.killBoth()
    await comeBack('a stale lock', first, misses)
    await issue(first, ledger)

    misses.push(...(await startCopy(bench, first, ledger)))
    await first.restart()
    misses.push(...(await consultEmbedded(bench, first, ledger)))
    return {
      result: `refused with its pid; back after an orphan and a stale lock; a copy has all ${ledger.tokens.size} tokens`,
      misses,
    }
  },
}

async function comeBack(after: string, place: Embedded, misses: string[]): Promise<void> {
  const milliseconds = await place.restart()
  if (milliseconds > WITHIN) misses.push(`back ${Math.round(milliseconds)} ms after ${after}`)
}

async function issue({ issuer, machine }: Embedded, ledger: Ledger): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const { body } = await post({ issuer }, '/token', { grant_type: 'client_credentials' }, machine)
    ledger.tokens.set(body.access_token, 'live')
    const tokens = await obtainTokens({ issuer }, { id: 'spa' }, { scope: 'openid things:read' })
    ledger.tokens.set(tokens.body.access_token, 'live')
    ledger.idTokens.push(tokens.body.id_token)
  }
}

/** The copy of a folder whose server has stopped is an installation like the first. It runs in the first one's place. */
async function startCopy(bench: Bench, first: Embedded, ledger: Ledger): Promise<string[]> {
  await first.server().stop()
  const copy = join(bench.folder, 'copy')
  await promisify(execFile)('cp', ['-a', first.dataDir, copy])
  const server = await startProcess({ ...first.settings, GATEHOUSE_DATA_DIR: copy })
  const misses: string[] = []
  try {
    for (const [token] of ledger.tokens) {
      const { body } = await post({ issuer: first.issuer }, '/introspect', { token }, first.api)
      if (body.active !== true) misses.push('(a) a copy does not know a token')
    }
  } finally {
    if ((await server.stop()) !== 0) misses.push('the server of a copy does not stop in good order')
  }
  return misses
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
