// One YAML document, read with all its faults at once: syntax, shape, twins, and names of things that do not exist.
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import type { ClientFields } from '../clients/client.ts'
import type { Resource } from '../resources/resource.ts'
import { below, type DocumentFault, type Path, type Reading, readFields } from '../vocabulary/document.ts'
import { type KnownResources, referenceFaults } from './references.ts'
import type { UserFields } from './user-fields.ts'

const MOST_CHARACTERS = 1_000_000
// What people write repeats a handful; a document that unfolds to gigabytes repeats repetitions.
const MOST_ALIASES = 100

export interface ApplyDocument {
  readonly resources: readonly Resource[]
  readonly clients: readonly ClientFields[]
  readonly users: readonly UserFields[]
}

/** A fault with its place; `line` counts from 1. */
export interface LocatedFault extends DocumentFault {
  readonly line?: number
}

export interface ReadParts {
  readonly readResource: (document: unknown) => Reading<Resource>
  readonly readClient: (document: unknown) => Reading<ClientFields>
  readonly readUser: (document: unknown) => Reading<UserFields>
  /** the same for two spellings of one address */
  readonly emailKey: (email: string) => string
  /** resources that are registered already */
  readonly registered: readonly Resource[]
}

const list = z.array(z.unknown(), 'must be a list').optional()
const shape = { resources: list, clients: list, users: list }

/**
 * @param text YAML 1.2 (or JSON, which is YAML), at most a million characters
 * @returns the document with defaults filled in, or every fault in it, in the order of the document
 */
export function readDocument(
  parts: ReadParts,
  text: string,
): { ok: true; document: ApplyDocument } | { ok: false; faults: readonly LocatedFault[] } {
  const parsed = parseYaml(text)
  if (!parsed.ok) return parsed
  const { parts: lists, faults } = readFields(shape, parsed.value, 'the document')
  const resources = readList(faults, 'resources', lists.resources, parts.readResource, ({ id }) => id)
  const clients = readList(faults, 'clients', lists.clients, parts.readClient, ({ id }) => id)
  const users = readList(faults, 'users', lists.users, parts.readUser, ({ email }) => email && parts.emailKey(email))

  const known = knownResources(parts.registered, lists.resources ?? [], resources.parts)
  clients.parts.forEach((client, index) => {
    faults.push(...below(['clients', index], referenceFaults(client, known)))
  })
  if (faults.length > 0) {
    const located = faults.map((fault) => ({ ...fault, line: parsed.lineOf(fault.path) }))
    return { ok: false, faults: located.sort((a, b) => a.line - b.line) }
  }
  return { ok: true, document: { resources: resources.values, clients: clients.values, users: users.values } }
}

function parseYaml(
  text: string,
): { ok: true; value: unknown; lineOf: (path: Path) => number } | { ok: false; faults: LocatedFault[] } {
  const refused = (message: string, line?: number) => ({
    ok: false as const,
    faults: [{ path: [], text: message, line }],
  })
  if (text.length > MOST_CHARACTERS) return refused(`has more than ${MOST_CHARACTERS} characters`)
  const lines = new LineCounter()
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, strict: true })
    const complaints = [...document.errors, ...document.warnings]
    if (complaints.length > 0) {
      const faults = complaints.map(({ message, pos }) => ({
        path: [],
        text: `is not YAML: ${message}`,
        line: lines.linePos(pos[0]).line,
      }))
      return { ok: false, faults }
    }
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return refused('is empty; it may have resources, clients and users')
    }
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES })
    return { ok: true, value, lineOf: (path) => lineOf(document, lines, path) }
  } catch (error) {
    // Too many aliases, or nested too deep for the parser.
    return refused(`cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function readList<T>(
  faults: DocumentFault[],
  name: string,
  documents: readonly unknown[] | undefined,
  read: (document: unknown) => Reading<T>,
  keyOf: (parts: Partial<T>) => string | undefined,
): { values: T[]; parts: Partial<T>[] } {
  const readings = (documents ?? []).map(read)
  const parts = readings.map((reading) => (reading.ok ? reading.value : reading.parts))
  const keys = parts.map(keyOf)
  readings.forEach((reading, index) => {
    if (!reading.ok) faults.push(...below([name, index], reading.faults))
    const first = keys.indexOf(keys[index])
    if (keys[index] !== undefined && first < index) {
      faults.push({
        path: [name, index],
        text: `is named twice: ${name}[${first}] is ${JSON.stringify(keys[index])} too`,
      })
    }
  })
  return { values: readings.flatMap((reading) => (reading.ok ? [reading.value] : [])), parts }
}

// A resource of this document counts as known even where it has faults, its id included: those are told once, there.
function knownResources(
  registered: readonly Resource[],
  documents: readonly unknown[],
  read: readonly Partial<Resource>[],
): KnownResources {
  const names = (resource: Partial<Resource>) => resource.scopes?.map(({ name }) => name)
  const known = new Map(registered.map((resource) => [resource.id, names(resource)]))
  documents.forEach((document, index) => {
    const id = (document as { id?: unknown } | null)?.id
    if (typeof id === 'string') known.set(id, names(read[index] ?? {}))
  })
  return known
}

/** @returns the line of the thing at `path`, or of the last thing on the way to it that is there */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  for (const step of path) {
    if (isAlias(node)) break
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && key.value === step) : undefined
    const item = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined
    const place = pair?.key ?? item
    if (!place) break
    offset = (place as { range?: readonly number[] | null }).range?.[0] ?? offset
    node = pair ? pair.value : item
  }
  return lines.linePos(offset).line
}
