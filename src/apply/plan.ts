// What a document would change: a pure comparison of what it says with what is there.
import { isDeepStrictEqual } from 'node:util'
import type { Client, ClientFields } from '../clients/client.ts'
import type { Resource } from '../resources/resource.ts'
import { isPlainObject } from '../vocabulary/document.ts'
import type { ApplyDocument } from './read.ts'
import type { UserFields } from './user-fields.ts'

export type Action = 'create' | 'change' | 'same'

interface StepOf<Kind extends string, T> {
  readonly object: Kind
  readonly id: string
  readonly action: Action
  /** the fields that change, as the document spells them; [] unless the action is `change` */
  readonly fields: readonly string[]
  readonly target: T
  /** whether a secret or a one-time link will have to be shown */
  readonly secret: boolean
}

export type Step = StepOf<'resource', Resource> | StepOf<'client', ClientFields> | StepOf<'user', UserFields>

export interface PlanParts {
  readonly writeResource: (resource: Resource) => Record<string, unknown>
  readonly writeClient: (client: ClientFields) => Record<string, unknown>
  /** how a client's secrets are kept; one of another form has to be made anew */
  readonly secretForm: (client: Pick<ClientFields, 'authMethod'>) => string | undefined
}

/** What is there now of the things that a document names. */
export interface State {
  readonly resources: readonly Resource[]
  readonly clients: readonly Client[]
  /** under the addresses that the document gives them */
  readonly users: readonly UserFields[]
}

/** @returns one step for each thing that the document names: resources, then clients, which name resources, then users */
export function planChanges(parts: PlanParts, document: ApplyDocument, state: State): Step[] {
  return [
    ...document.resources.map((target): Step => {
      const before = state.resources.find(({ id }) => id === target.id)
      const fields = before && changedFields(parts.writeResource(before), parts.writeResource(target), sameInOrder)
      return { object: 'resource', id: target.id, ...actionOf(fields), target, secret: false }
    }),
    ...document.clients.map((target): Step => {
      const before = state.clients.find(({ id }) => id === target.id)
      const fields = before && changedFields(parts.writeClient(before), parts.writeClient(target))
      const form = parts.secretForm(target)
      const secret = form !== undefined && form !== (before && parts.secretForm(before))
      return { object: 'client', id: target.id, ...actionOf(fields), target, secret }
    }),
    ...document.users.map((target): Step => {
      const before = state.users.find(({ email }) => email === target.email)
      const fields = before && (before.name === target.name ? [] : ['name'])
      return { object: 'user', id: target.email, ...actionOf(fields), target, secret: before === undefined }
    }),
  ]
}

function actionOf(fields: readonly string[] | undefined): { action: Action; fields: readonly string[] } {
  if (fields === undefined) return { action: 'create', fields: [] }
  return { action: fields.length > 0 ? 'change' : 'same', fields }
}

function changedFields(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  same = isDeepStrictEqual,
): string[] {
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])]
  return names.filter((name) => !same(before[name], after[name]))
}

// The consent page shows a resource's scopes in the order of its document.
function sameInOrder(a: unknown, b: unknown): boolean {
  const order = (value: unknown) => (isPlainObject(value) ? Object.keys(value) : [])
  return isDeepStrictEqual(a, b) && isDeepStrictEqual(order(a), order(b))
}
