// Who may connect: the operating system tells the server which user is at the other end of the socket (peer authentication),
// and a map says which of them may be the role `gatehouse`. There is no password and no `trust`. Both files lie outside
// PostgreSQL's folder and are named on its command line, so SQL cannot change them.
import { join } from 'node:path'
import type { Place } from './place.ts'
import { writeWhole } from './write-whole.ts'

const RULES = `# Written by Gatehouse at each start of its database.
local  all  gatehouse       peer map=gatehouse
local  all  all             reject
host   all  all        all  reject
`

/**
 * Writes both files anew, for the user may have changed since the last start. Root is always in the map: it can become any
 * user anyway, and a root shell may have to look at an ordinary user's database.
 * @returns the paths of the two files
 */
export async function writeAccess({
  base,
  user,
}: Pick<Place, 'base' | 'user'>): Promise<{ hba: string; ident: string }> {
  const hba = join(base, 'pg_hba.conf')
  const ident = join(base, 'pg_ident.conf')
  const peers = [...new Set([user.name, 'root'])].map((name) => `gatehouse  "${name}"  gatehouse\n`)
  await writeWhole(hba, RULES)
  await writeWhole(ident, `# Written by Gatehouse at each start of its database.\n${peers.join('')}`)
  return { hba, ident }
}
