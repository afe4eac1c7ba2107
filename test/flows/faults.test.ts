// The slice of the fault bench: its experiments in small sizes, with its oracle, on a database that forces everything to the
// disk. `npm run faults` has the full sizes.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { cleanEnv } from '../helpers/process.ts'

const RUN = join(import.meta.dirname, '../../faults/run.ts')

interface Row {
  readonly id: string
  readonly result: string
  readonly misses: readonly string[]
  readonly ran: boolean
}

/** null: a signal ended it */
let code: number | null
let rows: Row[]
let told: string

beforeAll(async () => {
  const command = ['--disable-warning=ExperimentalWarning', RUN, '--quick', '--json']
  ;[code, rows, told] = await new Promise((resolve) => {
    const child = execFile(process.execPath, command, { env: cleanEnv({}) }, (_error, stdout, stderr) =>
      resolve([child.exitCode, stdout ? JSON.parse(stdout).experiments : [], stderr]),
    )
  })
}, 420_000)

it('R-01 S-061 one code, a hundred redemptions: exactly one 200', () => holds('R-01'))
it('R-02 S-083 S-085 S-086 one refresh token, a hundred uses: one successor, carried by every 200', () => holds('R-02'))
it('R-04 S-190 a button that is pressed twenty times does its work once', () => holds('R-04'))
it('R-07 S-166 S-178 a one-time link that is used fifty times works once', () => holds('R-07'))
it('R-15 S-091 killed while they issue: nothing acknowledged is lost, nothing ended comes back', () => holds('R-15'))
it('R-08 S-161 passwords guessed at all nodes at once: as many are looked at as the bucket holds', () => holds('R-08'))
it('R-16 killed between any two steps of a deed: it is done, or not begun', () => holds('R-16'))
it('R-32 one data folder has one database, whoever starts, dies or copies', () => holds('R-32'))
it('R-33 a torn data folder is refused or recovered, never silently empty', () => holds('R-33'))
it('R-21 S-026 keys change under load: nobody is signed out, nothing that stands is refused', () => holds('R-21'))
it('R-36 S-001 S-011 header storms: refused, ended, answered in order, and nothing is smuggled', () => holds('R-36'))

it('the slice is all that has a small size, and the bench says so by its exit code', () => {
  expect({ code, told: code === 0 ? '' : told }).toEqual({ code: 0, told: '' })
  const slice = ['R-01', 'R-02', 'R-04', 'R-07', 'R-08', 'R-15', 'R-16', 'R-21', 'R-32', 'R-33', 'R-36']
  expect(rows.map(({ id }) => id)).toEqual(slice)
})

it('S-214 the oracle looked at changes of state and at secrets', () => {
  // The two about folders have no load, and oracles of their own.
  const loaded = rows.filter(({ id }) => id !== 'R-32' && id !== 'R-33')
  for (const { result } of loaded) expect(result).toMatch(/oracle: \d{2,} changes, \d{2,} secrets/)
})

it('--help tells the usage and runs nothing; what is no option is told apart', async () => {
  const ended = (args: string[]) =>
    new Promise((resolve) => {
      const command = ['--disable-warning=ExperimentalWarning', RUN, ...args]
      execFile(process.execPath, command, { env: cleanEnv({}) }, (error, out, err) =>
        resolve({ code: error?.code ?? 0, out, err }),
      )
    })
  const usage = expect.stringContaining('npm run faults -- [R-01 R-02 …]')
  expect(await ended(['--help'])).toEqual({ code: 0, out: usage, err: '' })
  expect(await ended(['--hlep'])).toEqual({ code: 2, out: '', err: usage })
  expect(await ended(['R-99'])).toEqual({ code: 2, out: '', err: expect.stringContaining('There is no R-99.') })
})

function holds(number: string): void {
  expect(rows.find(({ id }) => id === number)).toMatchObject({ misses: [], ran: true })
}
