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

it.each(rows)('$what', ({ numbers, tests }) => {
  expect(tests.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  const titles = tests.flatMap((path) => titlesOf(readFileSync(join(ROOT, path), 'utf8')))
  expect(numbers.filter((number) => !titles.some((title) => title.includes(number)))).toEqual([])
})

it('every experiment that is promised is in the fault bench', () => {
  const told = tableOf(readDocument('SECURITY.md'), 'Experiment').map(([number]) => number!)
  const folder = join(ROOT, 'faults/experiments')
  const there = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/^ {2}id: '(R-\d\d)',$/gm)].map((match) => match[1]!),
  )
  expect(told.length).toBeGreaterThan(3)
  expect(told.filter((number) => !there.includes(number))).toEqual([])
})

/** @returns the numbers that titles begin with; a title may name an experiment first */
function titlesOf(text: string): string[] {
  return [...text.matchAll(/\(\s*['"`](?:R-\d+ )*((?:S-\d{3}[ ,]*)+)/g)].map((match) => match[1]!)
}
