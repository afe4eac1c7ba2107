// Reading what people write in documents: every fault at once, each with its path. Knows no format and no schema library;
// a field's schema is anything with `safeParse` (zod's, in practice).
import { didYouMean } from './nearest.ts'

export type Path = readonly (string | number)[]

export interface DocumentFault {
  readonly path: Path
  /** the end of a sentence whose beginning is the path: "is missing", "must be a list" */
  readonly text: string
}

/** A document that was read, or why not; `parts` are the fields that were right all the same. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly DocumentFault[]; readonly parts: Partial<T> }

interface FieldSchema<T> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false
        readonly error: {
          readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
        }
      }
}

type Shape = Readonly<Record<string, FieldSchema<unknown>>>
export type Parts<S extends Shape> = { [K in keyof S]?: S[K] extends FieldSchema<infer T> ? T : never }

/**
 * Reads each field by itself, so that a fault in one does not hide those of the others. A field without a value (null) is
 * as good as absent.
 * @param shape the known fields; one whose schema refuses undefined is required
 * @param value the document, from JSON or YAML
 * @param what a word for such a document, as in "a client"
 * @returns the fields that are right, and a fault for each that is not, with its path below `value`
 */
export function readFields<S extends Shape>(
  shape: S,
  value: unknown,
  what: string,
): { readonly parts: Parts<S>; readonly faults: DocumentFault[] } {
  if (!isPlainObject(value))
    return { parts: {}, faults: [{ path: [], text: `must be ${what}: a list of "field: value"` }] }
  const known = Object.keys(shape)
  const faults: DocumentFault[] = Object.keys(value)
    .filter((key) => !Object.hasOwn(shape, key))
    .map((key) => ({ path: [key], text: `is not a field of ${what}${didYouMean(key, known)}` }))
  const parts: Record<string, unknown> = {}
  for (const key of known) {
    const given = Object.hasOwn(value, key) ? (value[key] ?? undefined) : undefined
    const result = (shape[key] as FieldSchema<unknown>).safeParse(given)
    if (result.success) {
      if (result.data !== undefined) parts[key] = result.data
    } else if (given === undefined) {
      faults.push({ path: [key], text: 'is missing' })
    } else {
      for (const { path, message } of result.error.issues) {
        faults.push({ path: [key, ...(path as Path)], text: message })
      }
    }
  }
  return { parts: parts as Parts<S>, faults }
}

/** @returns faults moved below `path` */
export function below(path: Path, faults: readonly DocumentFault[]): DocumentFault[] {
  return faults.map((fault) => ({ ...fault, path: [...path, ...fault.path] }))
}

/** @returns a path as people write it: `clients[1].scopes["https://orders.example.com"][0]` */
export function formatPath(path: Path): string {
  const text = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`
    return /^[A-Za-z_][\w-]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
  })
  return text.join('').replace(/^\./, '')
}

/** @returns whether `value` is a map of fields, as JSON and YAML make them */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
