// The documents of the project as tests read them: fenced blocks, tables, and what stands between backticks.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

/** Every document that people read. */
export const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'] as const

export interface Block {
  /** the first word after the fence: `sh`, `yaml`, `text` */
  readonly language: string
  /** the rest of that line: `run`, `shows`, `file=routes.json` */
  readonly what: string
  readonly text: string
}

/** @returns a file of the project as text */
export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** @returns the fenced blocks of a document, in order */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*) ?(.*)\n([\s\S]*?)^```$/gm)].map(([, language, what, text]) => ({
    language: language!,
    what: what!,
    text: text!,
  }))
}

/** @returns a document without its fenced blocks */
export function proseOf(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '')
}

/**
 * @param heading text of the table's first header cell
 * @returns the rows of that table, cells as written
 */
export function tableOf(markdown: string, heading: string): string[][] {
  const lines = markdown.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} |`))
  if (start < 0) throw new Error(`no table begins with ${heading}`)
  const rows: string[][] = []
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }
  return rows
}

/** @returns what stands between single backticks, line breaks as blanks */
export function codeIn(markdown: string): string[] {
  return [...markdown.matchAll(/`([^`]+)`/g)].map((match) => match[1]!.replaceAll('\n', ' '))
}
