// SECURITY.md promises tests by number and file: each must be there, under a title that begins with its number.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeIn, ROOT, readDocument, tableOf } from '../helpers/documents.ts'

const rows = tableOf(readDocument('SECURITY.md'), 'What holds').map(([what, numbers, tests]) => ({
  what: what!,
  numbers: numbers!.split(' '),
  tests: codeIn(tests!),
}))

it('every row names numbers and tests, and no number twice', () => {
  const numbers = rows.flatMap((row) => row.numbers)
  expect(numbers.filter((number) => !/^S-\d{3}$/.test(number))).toEqual([])
  expect(numbers.length).toBeGreaterThan(80)
  expect([...new Set(numbers)]).toEqual(numbers)
  expect(rows.filter(({ tests }) => tests.length === 0)).toEqual([])
})

it('every number that a test begins with is in a row', () => {
  const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  const titles = files
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => titlesOf(readFileSync(join(ROOT, 'test', file), 'utf8')))
  const begun = new Set(titles.flatMap((title) => title.match(/S-\d{3}/g) ?? []))
  const told = new Set(rows.flatMap(({ numbers }) => numbers))
  expect([...begun].filter((number) => !told.has(number)).sort()).toEqual([])
})

it.each(rows)('$what', ({ numbers, tests }) => {
  expect(tests.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  const titles = tests.flatMap((path) => titlesOf(readFileSync(join(ROOT, path), 'utf8')))
  expect(numbers.filter((number) => !titles.some((title) => title.includes(number)))).toEqual([])
})

it('every experiment of the fault bench is told of, and no other', () => {
  const told = tableOf(readDocument('SECURITY.md'), 'Experiment').map(([number]) => number!)
  const folder = join(ROOT, 'faults/experiments')
  const there = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/^ {2}id: '(R-\d\d)',$/gm)].map((match) => match[1]!),
  )
  expect(told.length).toBeGreaterThan(20)
  expect(told).toEqual([...new Set(there)].sort())
})

/** @returns the numbers that titles begin with; a title may name an experiment first */
function titlesOf(text: string): string[] {
  return [...text.matchAll(/\(\s*['"`](?:R-\d+ )*((?:S-\d{3}[ ,]*)+)/g)].map((match) => match[1]!)
}
