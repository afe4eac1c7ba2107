// Draws the arrows between the rooms of src/ and fails on a circle, on an arrow that goes up or sideways, and on anything
// but the shared rooms, jose and Node inside the authorizer.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const SRC = resolve(import.meta.dirname, '../src')

// Floors from the ground up. A room may import from lower floors, and from its own room.
const WORDS = ['vocabulary']
const KIT = ['verifier']
const GROUND = ['http', 'db', 'postgres']
const HELPERS = ['audit', 'secrets', 'throttle']
const ROOMS = ['accounts', 'clients', 'resources', 'signing-keys', 'sessions', 'tokens', 'endings']
const WORKS = ['apply']
const DOORS = ['provider', 'interactions']
const ROOF = ['roof', 'cli', 'tour', 'server']

const below = (...floors: string[][]): string[] => floors.flat()
const MAY: Record<string, string[]> = {
  ...each(WORDS, []),
  ...each(KIT, WORDS),
  ...each(GROUND, WORDS),
  ...each(HELPERS, below(WORDS, GROUND)),
  ...each(ROOMS, below(WORDS, KIT, GROUND, HELPERS)),
  ...each(WORKS, below(WORDS, KIT, GROUND, HELPERS, ROOMS)),
  ...each(DOORS, below(WORDS, KIT, GROUND, HELPERS, ROOMS)),
  authorizer: below(WORDS, KIT),
  gateway: below(WORDS, ['http', 'db']),
  port: below(WORDS, ['throttle']),
  ...each(ROOF, below(WORDS, KIT, GROUND, HELPERS, ROOMS, WORKS, DOORS, ROOF, ['gateway', 'port'])),
}

interface Arrow {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

const files = walk(SRC).filter((path) => path.endsWith('.ts'))
const arrows = files.flatMap(arrowsOf)

it('finds the house (a wrong path would make every rule below hold)', () => {
  expect(files.length).toBeGreaterThan(80)
  expect(arrows.length).toBeGreaterThan(200)
})

it('every room stands on a floor', () => {
  const rooms = new Set(files.map(roomOf))
  expect([...rooms].filter((room) => !(room in MAY))).toEqual([])
})

it('arrows between rooms go down only', () => {
  const wrong = arrows.filter(({ from, to }) => {
    const [room, target] = [roomOf(from), roomOf(to)]
    if (room === target || MAY[room]?.includes(target)) return false
    // The roof builds the authorizer's handler and hands it to the gateway as a function.
    return !(relative(SRC, from) === 'wire-tour.ts' && relative(SRC, to) === 'authorizer/handler.ts')
  })
  expect(wrong.map(({ from, to }) => `${relative(SRC, from)} -> ${relative(SRC, to)}`)).toEqual([])
})

it('no circle of files', () => {
  const next = new Map(files.map((file) => [file, arrows.filter((arrow) => arrow.from === file && !arrow.typeOnly)]))
  const state = new Map<string, 'open' | 'done'>()
  const circles: string[] = []
  const visit = (file: string, trail: string[]) => {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      circles.push([...trail.slice(trail.indexOf(file)), file].map((path) => relative(SRC, path)).join(' -> '))
      return
    }
    state.set(file, 'open')
    for (const { to } of next.get(file) ?? []) visit(to, [...trail, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})

it('only the doors know the protocol library, and only one file imports its insides', () => {
  const users = files.filter((file) => /from 'oidc-provider/.test(readFileSync(file, 'utf8')))
  expect(new Set(users.map(roomOf))).toEqual(new Set(DOORS))
  const insides = files.filter((file) => /'oidc-provider\/lib/.test(readFileSync(file, 'utf8')))
  expect(insides.map((file) => relative(SRC, file)).filter((file) => file !== 'provider/overrides.ts')).toEqual([])
})

it('the authorizer imports verifier, vocabulary, jose and node: only', () => {
  const reached = new Set<string>()
  const outside: string[] = []
  const follow = (file: string) => {
    if (reached.has(file)) return
    reached.add(file)
    for (const specifier of specifiersOf(file)) {
      if (specifier.startsWith('.')) follow(resolve(dirname(file), specifier))
      else if (!specifier.startsWith('node:') && specifier !== 'jose')
        outside.push(`${relative(SRC, file)}: ${specifier}`)
    }
  }
  for (const file of files.filter((path) => roomOf(path) === 'authorizer')) follow(file)
  expect(outside).toEqual([])
  expect([...new Set([...reached].map(roomOf))].sort()).toEqual(['authorizer', 'verifier', 'vocabulary'])
})

it('no file of src/ is longer than 400 lines', () => {
  const long = files.filter((file) => readFileSync(file, 'utf8').split('\n').length > 401)
  expect(long.map((file) => relative(SRC, file))).toEqual([])
})

function each(rooms: string[], may: string[]): Record<string, string[]> {
  return Object.fromEntries(rooms.map((room) => [room, may]))
}

function walk(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? walk(path) : [path]
  })
}

function roomOf(file: string): string {
  const parts = relative(SRC, file).split('/')
  return parts.length === 1 ? 'roof' : parts[0]!
}

function specifiersOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
}

function arrowsOf(file: string): Arrow[] {
  const text = readFileSync(file, 'utf8')
  const statements = [...text.matchAll(/^(import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)'/gms)]
  return statements
    .map((match) => ({ from: file, to: resolve(dirname(file), match[3]!), typeOnly: match[2] !== undefined }))
    .filter(({ to }) => to.startsWith(`${SRC}/`))
}
