// Plain aligned text for terminals. What strangers wrote cannot steer the terminal: control characters are taken out.
import { plainText } from '../http/plain-text.ts'

/** @returns rows below their headers, columns two spaces apart, each line ended */
export function formatTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headers, ...rows.map((row) => row.map((cell) => plainText(cell)))]
  const widths = headers.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))))
  return lines
    .map((line) => line.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** @returns one line per fact, the values below one another; a list has a line per entry; what is undefined is left out */
export function formatFacts(facts: readonly (readonly [name: string, value: unknown])[]): string {
  const told = facts.filter(([, value]) => value !== undefined)
  const longest = Math.max(...told.map(([name]) => name.length))
  return told
    .flatMap(([name, value]) => {
      const lines = Array.isArray(value) ? value : [value]
      return (lines.length === 0 ? ['-'] : lines).map((line, index) => {
        return `${(index === 0 ? name : '').padEnd(longest)}  ${plainText(String(line))}\n`
      })
    })
    .join('')
}

/** @returns a time as both people and programs read it: `2026-01-31 09:30 UTC`, or with seconds */
export function formatTime(time: Date, seconds = false): string {
  return `${time
    .toISOString()
    .slice(0, seconds ? 19 : 16)
    .replace('T', ' ')} UTC`
}

function width(cell: string): number {
  return Array.from(cell).length
}

function pad(cell: string, to: number): string {
  return cell + ' '.repeat(Math.max(0, to - width(cell)))
}
