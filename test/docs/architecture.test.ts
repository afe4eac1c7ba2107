// The map and the tree: every room is on it, and every path that a document names exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeIn, DOCUMENTS, proseOf, ROOT, readDocument, tableOf } from '../helpers/documents.ts'

const SRC = join(ROOT, 'src')
const architecture = readDocument('ARCHITECTURE.md')
const entries = readdirSync(SRC, { withFileTypes: true }).map((entry) => entry.name + (entry.isDirectory() ? '/' : ''))

it('every room of src/ has its row, and no row is of a room that is gone', () => {
  expect(entries.length).toBeGreaterThan(20)
  const rows = tableOf(architecture, 'Room').flatMap(([room]) => codeIn(room!))
  expect(rows.sort()).toEqual([...entries].sort())
})

it('every room stands on exactly one floor', () => {
  const floors = tableOf(architecture, 'Floor').flatMap(([, rooms]) => codeIn(rooms!))
  expect(floors.sort()).toEqual([...entries].sort())
})

it('the floors allow what the test of imports allows', () => {
  const rules = readFileSync(join(ROOT, 'test/imports.test.ts'), 'utf8')
  for (const [floor, rooms] of tableOf(architecture, 'Floor')) {
    const [, list] = new RegExp(`^const ${floor!.toUpperCase()} = \\[(.*)\\]`, 'm').exec(rules) ?? []
    if (!list) continue
    const folders = codeIn(rooms!).filter((room) => room.endsWith('/'))
    expect([floor, folders.map((room) => room.slice(0, -1))]).toEqual([
      floor,
      [...list.matchAll(/'([\w-]+)'/g)].map((match) => match[1]).filter((room) => room !== 'roof'),
    ])
  }
})

it.each(DOCUMENTS.map((path) => [path]))('every path that %s names exists', (path) => {
  const named = codeIn(proseOf(readDocument(path))).filter(isPath)
  if (path === 'ARCHITECTURE.md') expect(named.length).toBeGreaterThan(80)
  expect(named.filter((name) => !isThere(name))).toEqual([])
})

it.each(DOCUMENTS.map((path) => [path]))('every link of %s leads somewhere', (path) => {
  const links = [...proseOf(readDocument(path)).matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1]!)
  const dead = links.filter((link) => {
    const [file, anchor] = link.split('#')
    if (link.startsWith('https://')) return false
    if (file && !existsSync(join(ROOT, file))) return true
    return anchor !== undefined && !anchorsOf(readDocument(file || path)).includes(anchor)
  })
  expect(dead).toEqual([])
})

/** A file or a folder of the project, as opposed to an address, a flag or a pattern. */
function isPath(text: string): boolean {
  const made = ['data/', 'dist/', 'data/database.json', 'dist/authorizer.zip', 'secret.key']
  if (made.includes(text) || text.startsWith('/') || text.startsWith('.')) return false
  return /^[\w.-]+(\/[\w.-]+)*\/$/.test(text) || /^[\w.-]+(\/[\w.-]+)*\.(ts|eta|css|md|yml)$/.test(text)
}

function isThere(name: string): boolean {
  return [SRC, ROOT].some((folder) => existsSync(join(folder, name)))
}

/** @returns the anchors that GitHub gives to headings */
function anchorsOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(/^#+ (.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
